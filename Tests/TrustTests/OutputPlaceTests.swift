import Foundation
import Support
import Testing

/// Outputs replace reports and models, and nothing that their run reads.
@Suite struct OutputPlaceTests {
  let workspace: Workspace
  private let other = Repository.samples + "/tiny-tied"

  init() throws { workspace = try Workspace() }

  /// Arguments with places filled in: MODEL, its FILE and CONFIG, OTHER, TOKENS.
  private func run(_ arguments: [String], _ more: [String: String] = [:]) throws -> FathomProcess {
    let model = workspace.path("tiny-tied")
    var places = [
      "MODEL": model, "OTHER": other, "FILE": model + "/model.safetensors",
      "CONFIG": model + "/config.json", "TOKENS": workspace.path("tokens.json"),
      "LIMITS": workspace.path("limits.json"), "LIST": workspace.path("list"),
    ]
    places.merge(more) { $1 }
    return try FathomProcess(
      arguments.map { argument in
        let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
        if parts.count == 2, let place = places[parts[1]] { return "\(parts[0])=\(place)" }
        return places[argument] ?? argument
      })
  }

  private func prepare() throws {
    _ = try workspace.copy(sample: "tiny-tied")
    try workspace.write("tokens.json", "[1, 2]".utf8)
    try workspace.write("limits.json", #"{"main": {"max-kl": 1}}"#.utf8)
    #expect(try run(["hash", "MODEL", "-o", "LIST"]).status == 0)
  }

  static let writers = [
    ["inspect", "MODEL", "-o", "FILE"], ["inspect", "MODEL", "-o", "CONFIG"],
    ["inspect", "FILE", "-o", "CONFIG"], ["hash", "MODEL", "-o", "FILE"],
    ["hash", "MODEL", "--check", "LIST", "-o", "LIST"],
    ["diff", "OTHER", "MODEL", "-o", "FILE"], ["diff", "MODEL", "OTHER", "-o", "FILE"],
    ["logits", "MODEL", "--tokens", "TOKENS", "-o", "FILE"],
    ["logits", "MODEL", "--tokens", "TOKENS", "-o", "TOKENS"],
    ["logits", "OTHER", "--text", "CONFIG", "-o", "CONFIG"],
    ["verify", "OTHER", "MODEL", "-o", "FILE"], ["verify", "MODEL", "OTHER", "-o", "FILE"],
    ["verify", "OTHER", "MODEL", "--report", "html=FILE"],
    ["verify", "OTHER", "MODEL", "--tokens", "TOKENS", "--report", "html=TOKENS"],
    ["verify", "OTHER", "MODEL", "--thresholds", "LIMITS", "-o", "LIMITS"],
    ["verify", "--record", "MODEL", "--tokens", "TOKENS", "-o", "FILE"],
    ["verify", "--record", "MODEL", "--tokens", "TOKENS", "-o", "TOKENS"],
    ["convert", "FILE", "FILE", "--to", "gguf", "--quant", "f16"],
    ["convert", "MODEL", "FILE", "--to", "gguf", "--quant", "f16"],
    ["pack", "FILE", "FILE"],
    ["convert", "OTHER", "LIMITS", "--to", "gguf", "--recipe", "LIMITS"],
    ["convert", "OTHER", "LIMITS", "--to", "gguf", "--imatrix", "LIMITS"],
  ]

  @Test(arguments: writers)
  func whatIsReadIsSpared(arguments: [String]) throws {
    try prepare()
    let before = try (files(workspace.path("tiny-tied")), workspace.names())
    let run = try run(arguments + ["--overwrite"])
    #expect(run.status == 73 && run.messages.contains("overlaps"), "\(run.messages)")
    #expect(try files(workspace.path("tiny-tied")) == before.0)
    #expect(try workspace.names() == before.1)
  }

  /// By any path: another spelling, a link on the way, or a second name of the same file.
  @Test func howAnInputIsNamedDoesNotMatter() throws {
    try prepare()
    let list = try contents(workspace.path("list"))
    try FileManager.default.createSymbolicLink(
      atPath: workspace.path("way"), withDestinationPath: ".")
    try FileManager.default.linkItem(
      atPath: workspace.path("list"), toPath: workspace.path("second"))
    for name in ["./list", "way/list", "tiny-tied/../list", "second"] {
      let run = try run(
        ["hash", "MODEL", "--check", "LIST", "-o", workspace.path(name), "--overwrite"])
      #expect(run.status == 73 && run.messages.contains("overlaps"), "\(run.messages)")
      #expect(try contents(workspace.path("list")) == list)
    }
  }

  /// Splits that are read are not replaced by splits that are written under the same names.
  @Test func splitsAreSpared() throws {
    let splits = ["--to", "gguf", "--max-shard-size", "300KB"]
    let type = ["--quant", "f16"]
    #expect(try run(["convert", "OTHER", workspace.path("x.gguf")] + splits + type).status == 0)
    let before = try files(workspace.path)
    let first = try #require(before.keys.sorted().first { $0.hasSuffix(".gguf") })
    let run = try run(
      ["convert", workspace.path(first), workspace.path("x.gguf"), "--overwrite", "--keep-split"]
        + splits.prefix(2))
    #expect(run.status == 73 && run.messages.contains("overlaps"), "\(run.messages)")
    #expect(try files(workspace.path) == before)
  }

  /// Weights are no report, whoever's they are; nor is what nobody reads as text.
  @Test(arguments: ["model.safetensors", "x.gguf", "bytes"])
  func aReportReplacesReportsAlone(name: String) throws {
    try prepare()
    try workspace.write("weights/x.gguf", "GGUF".utf8 + [3, 0, 0, 0])
    try workspace.write("weights/bytes", [0x30, 0, 0x31])
    try workspace.write("weights/model.safetensors", contents(other + "/model.safetensors"))
    try FileManager.default.moveItem(
      atPath: workspace.path("weights/\(name)"), toPath: workspace.path("report"))
    let before = try contents(workspace.path("report"))
    for arguments in [
      ["hash", "OTHER", "-o", "REPORT"], ["inspect", "OTHER", "-o", "REPORT"],
      ["logits", "OTHER", "--tokens", "TOKENS", "-o", "REPORT"],
      ["verify", "--record", "OTHER", "--tokens", "TOKENS", "-o", "REPORT"],
      ["verify", "OTHER", "OTHER", "--tokens", "TOKENS", "--report", "json=REPORT"],
    ] {
      let run = try run(arguments + ["--overwrite"], ["REPORT": workspace.path("report")])
      #expect(run.status == 73 && run.messages.contains("is not replaced"), "\(run.messages)")
      #expect(try contents(workspace.path("report")) == before)
    }
    try workspace.write("report", "tensor\n".utf8)
    let run = try run(["hash", "OTHER", "-o", workspace.path("report"), "--overwrite"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(workspace.path("report")) != Array("tensor\n".utf8))
  }

  @Test func aModelReplacesModelsAlone() throws {
    try workspace.write("thesis.gguf", "Chapter 1".utf8)
    let arguments = [
      "convert", "OTHER", workspace.path("thesis.gguf"), "--to", "gguf", "--quant", "f16",
    ]
    let run = try run(arguments + ["--overwrite"])
    #expect(run.status == 73 && run.messages.contains("is not replaced"), "\(run.messages)")
    #expect(try contents(workspace.path("thesis.gguf")) == Array("Chapter 1".utf8))
  }

  /// A file of logits in a model's folder would be read as weights of the model.
  @Test func nothingBecomesPartOfAModel() throws {
    try prepare()
    let before = try workspace.names("tiny-tied")
    for arguments in [
      ["logits", ".", "--tokens", "TOKENS"],
      ["logits", "OTHER", "--tokens", "TOKENS", "-o", "logits.safetensors"],
      ["hash", "OTHER", "-o", "chat_template.jinja"],
    ] {
      let places = ["TOKENS": workspace.path("tokens.json"), "OTHER": other]
      let run = try FathomProcess(
        program: FathomProcess.path, arguments.map { places[$0] ?? $0 }, environment: [:],
        folder: workspace.path("tiny-tied"))
      #expect(run.status == 73, "\(run.messages)")
      #expect(run.messages.contains("would become part of the model"), "\(run.messages)")
      #expect(try workspace.names("tiny-tied") == before)
    }
    let report = try run(["hash", "OTHER", "-o", workspace.path("tiny-tied/hashes.txt")])
    #expect(report.status == 0, "\(report.messages)")
  }

  @Test func everyReportHasAFileOfItsOwn() throws {
    try prepare()
    let names = try workspace.names()
    for other in ["./a", "tiny-tied/../a", "a"] {
      let options = ["json", "html"].map { format in
        "\(format)=\(workspace.path(format == "json" ? "a" : other))"
      }
      for more in [["--report", options[0]], ["-o", workspace.path("a")]] {
        let run = try run(
          ["verify", "OTHER", "MODEL", "--tokens", "TOKENS", "--report", options[1]] + more)
        #expect(run.status == 64, "\(run.messages)")
        #expect(run.messages.contains("a file of its own"))
        #expect(try workspace.names() == names)
      }
    }
    // Two names that look alike are two files.
    let run = try run([
      "verify", "OTHER", "MODEL", "--tokens", "TOKENS", "--report",
      "json=\(workspace.path("\u{E9}"))", "--report", "html=\(workspace.path("e\u{301}"))",
    ])
    #expect(run.status == 0, "\(run.messages)")
    #expect(try workspace.names().count == names.count + 2)
  }

  /// A name may begin with a mark that joins the slash before it.
  @Test func namesAreBytes() throws {
    let name = "\u{301}out"
    let run = try run(["convert", "OTHER", workspace.path(name), "--to", "hf"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(try workspace.names().map { Array($0.utf8) } == [Array(name.utf8)])
    let relative = try FathomProcess(
      program: FathomProcess.path, ["convert", other, "\u{302}out", "--to", "hf"], environment: [:],
      folder: workspace.path)
    #expect(relative.status == 0, "\(relative.messages)")
    #expect(try workspace.names().count == 2)
    try FileManager.default.createDirectory(
      atPath: workspace.path("data"), withIntermediateDirectories: true)
    try FileManager.default.moveItem(
      atPath: workspace.path(name), toPath: workspace.path("data/\(name)"))
    let around = try FathomProcess(
      "pack", workspace.path("data/\(name)"), workspace.path("data"), "--overwrite")
    #expect(around.status == 73, "\(around.messages)")
    #expect(try workspace.names("data/\(name)").contains("model.safetensors"))
  }

  /// A run that is killed while it writes a report leaves a hidden file, which the next one names.
  @Test func whatAKilledRunLeftIsNamed() throws {
    try prepare()
    let list = workspace.path("new")
    let killed = try FathomProcess(
      ["hash", other, "-o", list],
      environment: Mishap("kill", at: 1, name: "fdatasync").environment(below: workspace.path))
    #expect(killed.status == 128 + SIGKILL)
    let left = try #require(try workspace.names().first { $0.hasPrefix(".new.fathom-") })
    let next = try FathomProcess("hash", other, "-o", list)
    #expect(next.status == 0)
    #expect(next.messages.contains("\(left) was left by a run that was killed"), "\(next.messages)")
    #expect(try workspace.names().contains(left))
  }
}
