import Foundation
import Support
import Testing

/// `fathom imatrix` and `fathom recipe` as their users see them.
@Suite struct RecipeCommandTests {
  let workspace: Workspace
  /// Rows of whole blocks of 256.
  let sample = Repository.samples + "/tiny-trained"

  init() throws { workspace = try Workspace() }

  private func tokens() throws -> String {
    let ids = (0..<2).map { n in (0..<24).map { 3 + (n * 31 + $0 * 7) % 200 } }
    return try workspace.write("ids.json", "\(ids)".utf8)
  }

  @Test func aRecipeSaysWhatItsFileLoses() throws {
    let (ids, matrix) = (try tokens(), workspace.path("imatrix.gguf"))
    let measured = try FathomProcess([
      "imatrix", sample, "--tokens", ids, "-o", matrix, "--format", "json",
    ])
    #expect(measured.status == 0, "\(measured.messages)")
    let document = try JSONDocument(measured.output)
    #expect(try JSONSchema(named: "fathom.imatrix.1").faults(in: document).isEmpty)
    #expect(document.integer("tokens") == 48 && document.integer("chunkSize") == 24)
    let recipe = workspace.path("recipe.json")
    let chosen = try FathomProcess([
      "recipe", sample, "--bpw", "6", "--tokens", ids, "--imatrix", matrix, "--types",
      "iq3_s,q4_k,q8_0", "--groups", "8", "-o", recipe, "--format", "json",
    ])
    #expect(chosen.status == 0, "\(chosen.messages)")
    let report = try JSONDocument(chosen.output)
    #expect(try JSONSchema(named: "recipe").faults(in: report).isEmpty)
    #expect(try contents(recipe) == Array(chosen.output.utf8))
    #expect(report.number("evidence", "bitsPerWeight") ?? 99 <= 6)
    let types = Set(report.list("rules").compactMap { $0.string("type") })
    #expect(types.count > 1, "a mix: \(types)")
    // The file that it leads to has its size and loses what it says.
    let file = workspace.path("mix.gguf")
    let converted = try FathomProcess([
      "convert", sample, file, "--to", "gguf", "--recipe", recipe, "--imatrix", matrix,
      "--allow-requantize",
    ])
    #expect(converted.status == 0, "\(converted.messages)")
    let run = try FathomProcess([
      "verify", sample, file, "--tokens", ids, "--mtp", "drop", "--format", "json",
    ])
    let found = try JSONDocument(run.output)
    #expect(found.integer("main", "sizeBytes") == report.integer("evidence", "bytes"))
    let (a, b) = (
      try #require(found.number("main", "klMean")),
      try #require(report.number("evidence", "klMeasured"))
    )
    #expect(abs(a - b) <= 1e-3 * b, "\(a) \(b)")
  }

  @Test func goalsThatCannotBeKeptAreRefused() throws {
    let ids = try tokens()
    for (goal, value) in [("--bpw", "0.5"), ("--size", "1KB"), ("--max-kl", "1e-12")] {
      let run = try FathomProcess([
        "recipe", sample, goal, value, "--tokens", ids, "--types", "q4_k,q8_0", "--groups", "4",
        "-o", workspace.path("recipe.json"),
      ])
      #expect(run.status == 64 && run.messages.contains("expected at least"), "\(run.messages)")
    }
    #expect(try workspace.names() == ["ids.json"])
    let both = try FathomProcess(["recipe", sample, "--bpw", "3", "--size", "1GB", "--tokens", ids])
    #expect(both.status == 64)
    let needy = try FathomProcess([
      "recipe", sample, "--bpw", "9", "--tokens", ids, "--types", "iq1_s,q8_0",
      "-o", workspace.path("recipe.json"),
    ])
    #expect(needy.status == 64 && needy.messages.contains("IQ1_S"), "\(needy.messages)")
  }

  /// The older format holds the same entries; the head has one where it is asked for.
  @Test(arguments: ["gguf", "dat"]) func theHeadIsMeasuredWhereAsked(format: String) throws {
    let ids = try tokens()
    for (name, more) in [("without", []), ("with", ["--process-output"])] {
      let path = workspace.path("\(name).\(format)")
      let run = try FathomProcess(
        ["imatrix", sample, "--tokens", ids, "-o", path, "--output-format", format] + more)
      #expect(run.status == 0, "\(run.messages)")
      let bytes = try contents(path)
      #expect(bytes.starts(with: "GGUF".utf8) == (format == "gguf"))
      let others = count(of: "attn_output.weight", in: bytes)
      #expect(others > 0 && (count(of: "output.weight", in: bytes) > others) == (name == "with"))
      let file = workspace.path("\(name)-\(format).gguf")
      let made = try FathomProcess([
        "convert", sample, file, "--to", "gguf", "--quant", "q4_k_m", "--imatrix", path,
      ])
      #expect(made.status == 0, "\(made.messages)")
    }
  }

  private func count(of text: String, in bytes: [UInt8]) -> Int {
    bytes.ranges(of: Array(text.utf8)).count
  }

  @Test func matricesAreMergedWithoutAModel() throws {
    let ids = try tokens()
    let names = ["one.gguf", "two.gguf"].map(workspace.path)
    for name in names {
      #expect(try FathomProcess(["imatrix", sample, "--tokens", ids, "-o", name]).status == 0)
    }
    let output = workspace.path("sum.gguf")
    let run = try FathomProcess(["imatrix", "--merge"] + names + ["-o", output])
    #expect(run.status == 0 && run.output.contains("4 chunks of 24 tokens"), "\(run.messages)")
    #expect(try FathomProcess(["imatrix", "-o", output]).status == 64)
    #expect(try FathomProcess(["imatrix", "--merge", sample + "/config.json"]).status == 65)
    // What is no matrix is not replaced.
    let other = try workspace.write("notes.txt", "mine".utf8)
    let refused = try FathomProcess(
      ["imatrix", "--merge"] + names + ["-o", other, "--overwrite"])
    #expect(refused.status == 73)
    #expect(try contents(other) == Array("mine".utf8))
    let again = try FathomProcess(["imatrix", "--merge"] + names + ["-o", output, "--overwrite"])
    #expect(again.status == 0)
  }
}
