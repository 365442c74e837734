import Support
import Testing

/// What `--dry-run` prints for people: a screen for a large model, a row for each tensor on request.
@Suite struct PlanTextTests {
  private let workspace = try! Workspace()

  private func plan(_ more: [String], sample: String = "tiny-fp8") throws -> String {
    let run = try FathomProcess(
      [
        "convert", "\(Repository.samples)/\(sample)", workspace.path("out"), "--to", "hf",
        "--quant",
        "bf16", "--dry-run",
      ] + more)
    #expect(run.status == 0, "\(run.messages)")
    return run.output
  }

  /// The cells of the first table, which spaces separate.
  private func rows(_ text: String) -> [[String]] {
    text.split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.isEmpty }
      .dropFirst().map { line in
        line.split(separator: "  ").map { $0.trimmingPrefix(while: \.isWhitespace) }
          .filter { !$0.isEmpty }.map(String.init)
      }
  }

  /// All names that `blk.0-2,5.x` stands for.
  private func names(_ pattern: String) -> [String] {
    pattern.split(separator: ".").reduce([""]) { names, part in
      let values = part.split(separator: ",").flatMap { range -> [String] in
        let ends = range.split(separator: "-").map { Int($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1] else {
          return [String(range)]
        }
        return (first...last).map(String.init)
      }
      return names.flatMap { name in values.map { name.isEmpty ? $0 : "\(name).\($0)" } }
    }
  }

  /// What fell back, what is free, how long it takes: and the end of the conversion says the same.
  @Test func thePlanIsSummedUp() throws {
    func convert(_ more: [String]) throws -> [Substring] {
      let run = try FathomProcess(
        [
          "convert", Repository.samples + "/tiny-trained", workspace.path("m.gguf"), "--to",
          "gguf",
          "--quant", "q4_k_m", "--threads", "1",
        ] + more)
      #expect(run.status == 0, "\(run.messages)")
      return run.output.split(separator: "\n", omittingEmptySubsequences: false)
    }
    let plan = try convert(["--dry-run"])
    #expect(plan.contains("3 tensors in Q5_0: Q4_K falls back, row 32 not divisible by 256"))
    #expect(plan.contains("3 tensors in Q5_0: Q4_K falls back, row 128 not divisible by 256"))
    #expect(plan.contains { $0.hasSuffix(" are free there") })
    let time = plan.first { $0.contains(" of work on 1 thread at the rates of ") }
    #expect(time?.hasPrefix("less than 0.1 s of work") == true, "\(time ?? "")")
    let start = try #require(plan.firstIndex { $0.hasPrefix("type ") })
    let end = try #require(plan.firstIndex { $0.hasSuffix(" bits per weight before, 4.83 after") })
    #expect(try convert([]).starts(with: plan[start...end]))
  }

  @Test func rowsOfALargeModelStandForAllOfItsTensors() throws {
    let document = try JSONDocument(try plan(["--format", "json"]))
    let tensors = document.list("tensors")
    #expect(tensors.count > 200)
    let table = rows(try plan([]))
    #expect(table.count < 40)
    var found: Set<String> = []
    for row in table {
      let names = names(row[0])
      #expect(row[1] == "\(names.count)", "\(row)")
      let bytes = tensors.filter { names.contains($0.string("name") ?? "") }
        .compactMap { $0.integer("bytes") }
      #expect(bytes.count == names.count)
      #expect(
        row.contains(
          String(
            String("\(bytes.reduce(0, +))".reversed()).enumerated().reduce(into: "") {
              $0 += ($1.offset > 0 && $1.offset % 3 == 0 ? "," : "") + String($1.element)
            }.reversed())),
        "\(row)")
      found.formUnion(names)
    }
    #expect(found == Set(tensors.compactMap { $0.string("name") }))
    #expect(table.contains { $0[0] == "model.layers.1-4.mlp.experts.0-15.down_proj.weight" })
  }

  @Test func eachTensorHasARowWhereThatIsAskedFor() throws {
    let tensors = try JSONDocument(try plan(["--format", "json"])).list("tensors")
    let names = tensors.compactMap { $0.string("name") }
    #expect(rows(try plan(["--all"])).map(\.[0]) == names)
    #expect(try !plan(["--all"]).contains("share a row"))
    // What fits on a screen or two is not cut.
    let few = rows(try plan([], sample: "tiny-youtu"))
    #expect(few.contains { $0[0] == "model.layers.2.mlp.up_proj.weight" })
    let refused = try FathomProcess(
      "convert", Repository.samples + "/tiny-fp8", workspace.path("out"), "--to", "hf", "--all")
    #expect(refused.status == 64 && refused.messages.contains("--all goes with --dry-run"))
  }

  @Test func ofManyFilesTheFirstAndTheLastAreNamed() throws {
    let cut = try plan(["--max-shard-size", "60KB"])
    let whole = try plan(["--max-shard-size", "60KB", "--all"])
    let files = whole.split(separator: "\n").filter { $0.contains(".safetensors  ") }
      .compactMap { $0.split(separator: " ").first }.filter { $0.hasPrefix("model-") }
    #expect(files.count > 12)
    #expect(cut.contains(files[0]) && !cut.contains(files[8]))
    #expect(cut.contains("files more\n"))
  }

  @Test func sizesAreSaidInBitsPerWeight() throws {
    let text = try plan([])
    let document = try JSONDocument(try plan(["--format", "json"]))
    let bytes = try #require(document.integer("totals", "tensorBytes"))
    let elements = try #require(document.integer("totals", "elements"))
    let bits = Int((800 * Double(bytes) / Double(elements)).rounded())
    #expect(
      text.contains(" bits per weight before, \(bits / 100).\(bits % 100 / 10)\(bits % 10) after"))
    #expect(text.contains(" are free there\n"))
    for type in ["BF16", "F32"] { #expect(text.contains("\n\(type)  ")) }
  }

  @Test func theMixOfAFileIsNamed() throws {
    let model = Repository.samples + "/tiny-trained"
    for (quant, name) in [("q4_k_m", "Q4_K_M, 4.83"), ("iq4_nl", "IQ4_NL, "), ("bf16", "none")] {
      let path = workspace.path(quant + ".gguf")
      let run = try FathomProcess("convert", model, path, "--to", "gguf", "--quant", quant)
      #expect(run.status == 0, "\(run.messages)")
      let text = try FathomProcess("inspect", path).output
      #expect(text.contains("\nquantization  \(name)"), "\(text)")
      let document = try JSONDocument(try FathomProcess("inspect", path, "--format", "json").output)
      let totals = try #require(
        document.integer("totals", "elements").flatMap { elements in
          document.integer("totals", "bytes").map { 8 * Double($0) / Double(elements) }
        })
      let said = document.string("quantization")?.split(separator: " ").dropFirst().first
      if name != "none" {
        #expect(abs(try #require(said.flatMap { Double($0) }) - totals) < 0.0051)
      }
    }
    // A number that does not fit the tensors is not believed.
    let mixed = workspace.path("mixed.gguf")
    let run = try FathomProcess(
      "convert", model, mixed, "--to", "gguf", "--quant", "q4_k_m", "--override-kv",
      "general.file_type=int:2")
    #expect(run.status == 0, "\(run.messages)")
    let text = try FathomProcess("inspect", mixed).output
    #expect(text.contains("\nquantization  mostly Q4_K, 4.83 "), "\(text)")
  }
}
