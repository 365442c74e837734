import Support
import Testing

/// `--overwrite` replaces reports, and no file of the models that they are about.
@Suite struct OutputPlaceTests {
  @Test(arguments: [
    ["inspect", "MODEL", "-o", "FILE"], ["diff", "OTHER", "MODEL", "-o", "FILE"],
    ["diff", "MODEL", "OTHER", "-o", "FILE"],
    ["logits", "MODEL", "--tokens", "TOKENS", "-o", "FILE"],
    ["verify", "OTHER", "MODEL", "-o", "FILE"], ["verify", "MODEL", "OTHER", "-o", "FILE"],
    ["verify", "OTHER", "MODEL", "--report", "html=FILE"],
    ["verify", "--record", "MODEL", "--tokens", "TOKENS", "-o", "FILE"],
  ])
  func aModelIsSpared(arguments: [String]) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-tied")
    let file = model + "/model.safetensors"
    let weights = try contents(file)
    let places = [
      "MODEL": model, "OTHER": Repository.samples + "/tiny-tied", "FILE": file,
      "TOKENS": try workspace.write("tokens.json", "[1, 2]".utf8), "html=FILE": "html=\(file)",
    ]
    let run = try FathomProcess(arguments.map { places[$0] ?? $0 } + ["--overwrite"])
    #expect(run.status == 73 && run.messages.contains("overlaps"), "\(run.messages)")
    #expect(try contents(file) == weights)
  }
}
