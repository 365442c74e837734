import Foundation
import Support
import Testing

/// GGUF files on the command line: written, then read by every command that takes a model.
@Suite struct GGUFCommandTests {
  static let folder = Repository.samples + "/hostile-gguf"
  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
    .filter { $0.hasSuffix(".gguf") }.sorted()
  static let sample = Repository.samples + "/tiny-fp8"

  /// Converts the sample; returns the path of the file.
  private func convert(_ workspace: Workspace, _ options: [String]) throws -> String {
    let path = workspace.path("model.gguf")
    let run = try FathomProcess(
      ["convert", GGUFCommandTests.sample, path, "--to", "gguf"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  private func expectValid(_ arguments: [String], _ schema: String) throws -> JSONDocument {
    let run = try FathomProcess(arguments)
    #expect(run.status == 0, "\(run.messages)")
    let document = try JSONDocument(run.output)
    let faults = try JSONSchema(named: schema).faults(in: document)
    #expect(faults.isEmpty, "\(faults)")
    return document
  }

  @Test(arguments: names)
  func hostileFileIsRefused(name: String) throws {
    let path = "\(GGUFCommandTests.folder)/\(name)"
    // Of a type that nobody knows the header is sound, and its tensors can be shown.
    let isShown = ["type-2-32.gguf", "type-unknown.gguf"].contains(name)
    if isShown { #expect(try FathomProcess("inspect", path).status == 0) }
    for command in isShown ? ["validate"] : ["inspect", "validate"] {
      let run = try FathomProcess(command, path)
      #expect(run.status == 65, "\(command): \(run.messages)")
      #expect(run.messages.split(separator: "\n").count == 1)
      #expect(run.messages.hasPrefix("fathom: ") && run.messages.contains(name))
    }
  }

  /// A GGUF file may have an MTP layer's copy of the head in another type than the head.
  @Test func copiesAreWhatTheyRepeatAfterTheWayBack() throws {
    let workspace = try Workspace()
    let (file, back) = (workspace.path("q4.gguf"), workspace.path("back"))
    let sample = Repository.samples + "/tiny-trained"
    #expect(
      try FathomProcess("convert", sample, file, "--to", "gguf", "--quant", "q4_k_m").status == 0)
    let run = try FathomProcess("convert", file, back, "--to", "hf", "--quant", "bf16")
    #expect(run.status == 0, "\(run.messages)")
    #expect(
      run.messages.contains("is written from lm_head.weight, which it repeats"),
      "\(run.messages)")
    let validation = try FathomProcess("validate", back, "--deep")
    #expect(validation.status == 0, "\(validation.output)")
  }

  @Test func everyCommandTakesIt() throws {
    let workspace = try Workspace()
    let path = try convert(workspace, ["--quant", "f32"])
    let inspection = try expectValid(
      ["inspect", path, "--format", "json", "--tensors", "--stats"], "fathom.inspect.1")
    #expect(inspection.string("format") == "gguf")
    let source = try JSONDocument(
      try FathomProcess("inspect", GGUFCommandTests.sample, "--format", "json").output)
    for key in ["total", "main", "mtp", "mtpWithoutCopies", "activePerToken"] {
      #expect(inspection.integer("parameters", key) == source.integer("parameters", key), "\(key)")
    }
    let validation = try expectValid(
      ["validate", path, "--deep", "--format", "json"], "fathom.validate.1")
    #expect(validation.string("verdict") == "valid" && validation.list("findings").isEmpty)
    let verification = try expectValid(
      [
        "verify", GGUFCommandTests.sample, path, "--tokens",
        GGUFCommandTests.sample + "/expected.safetensors", "--max-kl", "0", "--format", "json",
      ], "fathom.verify.1")
    #expect(verification.number("main", "maxAbsDifference") == 0)
    #expect(verification.number("mtp", "maxAbsDifference") == 0)
  }

  @Test func aDryRunTellsTheTypesAndWhy() throws {
    let workspace = try Workspace()
    let plan = try expectValid(
      [
        "convert", GGUFCommandTests.sample, workspace.path("x.gguf"), "--to", "gguf", "--quant",
        "Q4_K_M", "--tensor-type", "ffn_down_exps=f16", "--output-tensor-type", "bf16",
        "--dry-run", "--format", "json",
      ], "fathom.plan.1")
    #expect(try workspace.names().isEmpty)
    let tensors = plan.list("tensors")
    let output = try #require(tensors.first { $0.string("name") == "output.weight" })
    #expect(output.string("type") == "BF16")
    #expect(output.string("reason") == "asked for")
    let stack = try #require(tensors.first { $0.string("name") == "blk.1.ffn_down_exps.weight" })
    #expect(stack.string("operation") == "dequantized" && stack.string("rows") == "stacked")
    #expect(stack.list("sources").count == 32)
    #expect(stack.string("reason") == "rule ffn_down_exps")
  }

  @Test func aRecipeAndAMatrixShowInThePlan() throws {
    let workspace = try Workspace()
    let recipe = Repository.samples + "/recipes/experts-iq4_nl-attention-q8_0.json"
    let matrix = Repository.root + "/Tests/ConversionTests/Fixtures/matrix.dat"
    let plan = try expectValid(
      [
        "convert", Repository.samples + "/tiny-trained", workspace.path("x.gguf"), "--to", "gguf",
        "--recipe", recipe, "--imatrix", matrix, "--exclude-weights", "attn", "--override-kv",
        "general.name=str:other", "--dry-run", "--format", "json",
      ], "fathom.plan.1")
    #expect(plan.string("recipe", "default") == "Q8_0")
    #expect(plan.list("recipe", "rules").map { $0.string("layers") } == ["mtp", nil, nil])
    #expect(plan.string("recipe", "importanceMatrix") == matrix)
    let stack = plan.list("tensors").first { $0.string("name") == "blk.1.ffn_up_exps.weight" }
    #expect(stack?.string("type") == "IQ4_NL")
  }

  @Test func splitsAreJoinedWithoutAType() throws {
    let workspace = try Workspace()
    let path = try convert(workspace, ["--quant", "f32"])
    let parts = try FathomProcess(
      "convert", GGUFCommandTests.sample, workspace.path("parts.gguf"), "--to", "gguf", "--quant",
      "f32", "--max-shard-size", "600KB")
    #expect(parts.status == 0, "\(parts.messages)")
    let first = try #require(try workspace.names().sorted().first { $0.contains("-00001-of-") })
    let joined = workspace.path("joined.gguf")
    let run = try FathomProcess("convert", workspace.path(first), joined, "--to", "gguf")
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(joined) == contents(path))
  }

  /// Fewer bits, more distance: the order of llama.cpp's own types.
  @Test func divergenceRisesAsBitsFall() throws {
    let workspace = try Workspace()
    let source = Repository.samples + "/tiny-trained"
    var divergences: [Double] = []
    for type in ["f32", "q8_0", "q6_k", "q5_k_s", "q4_k_s", "q3_k_s", "q2_k"] {
      let path = workspace.path("\(type).gguf")
      let run = try FathomProcess("convert", source, path, "--to", "gguf", "--quant", type)
      #expect(run.status == 0, "\(run.messages)")
      let report = try expectValid(
        [
          "verify", source, path, "--tokens", source + "/expected.safetensors", "--format", "json",
        ], "fathom.verify.1")
      divergences.append(try #require(report.number("main", "klMean")))
    }
    #expect(divergences[0] == 0)
    for (closer, farther) in zip(divergences, divergences.dropFirst()) {
      #expect(closer < farther, "\(divergences)")
    }
  }

  @Test func validateFindsWhatIsWrong() throws {
    let workspace = try Workspace()
    let path = try convert(workspace, ["--quant", "f32"])
    // A tensor under another name is one that is missing and one that nobody knows.
    var bytes = try contents(path)
    let name = Array("blk.2.attn_q_b.weight".utf8)
    let place = try #require(
      (0..<bytes.count - name.count).first { Array(bytes[$0..<$0 + name.count]) == name })
    bytes[place + 11] = UInt8(ascii: "x")
    try workspace.write("model.gguf", bytes)
    let run = try FathomProcess("validate", path, "--format", "json")
    #expect(run.status == 1)
    let rules = try JSONDocument(run.output).list("findings").map { $0.string("rule") ?? "" }
    #expect(rules.sorted() == ["missing-tensor", "unexpected-tensor"])
  }

  @Test func wrongUsageIsSaid() throws {
    let workspace = try Workspace()
    let output = workspace.path("x.gguf")
    for options in [
      ["--to", "gguf"], ["--to", "gguf", "--quant", "q9"], ["--to", "hf", "--quant", "q8_0"],
      ["--to", "hf", "--quant", "bf16", "--pure"],
      ["--to", "gguf", "--quant", "q8_0", "--tensor-type", "x"],
      ["--to", "gguf", "--quant", "f16", "--mtp", "only"],
      ["--to", "gguf", "--quant", "f16", "--block-size", "8x8"],
      ["--to", "gguf", "--quant", "q8_0", "--include-weights", "x"],
      ["--to", "gguf", "--quant", "q8_0", "--override-kv", "x=int:y"],
      ["--to", "gguf", "--quant", "q8_0", "--keep-split"],
      ["--to", "gguf", "--quant", "q8_0", "--keep-split", "--max-shard-size", "1MB"],
      ["--to", "hf", "--quant", "bf16", "--recipe", "recipe.json"],
      ["--to", "hf", "--quant", "bf16", "--imatrix", "imatrix.gguf"],
      [
        "--to", "gguf", "--quant", "q8_0", "--recipe",
        Repository.samples + "/recipes/experts-iq4_nl-attention-q8_0.json",
      ],
    ] {
      let run = try FathomProcess(["convert", GGUFCommandTests.sample, output] + options)
      #expect(run.status == 64, "\(options): \(run.messages)")
    }
    #expect(try workspace.names().isEmpty)
  }

  @Test func aPatternThatIsNoneIsSaidWithItsPlace() throws {
    let run = try FathomProcess(
      "convert", GGUFCommandTests.sample, "x.gguf", "--to", "gguf", "--quant", "q8_0",
      "--tensor-type", "blk.[0-3=q4_0")
    #expect(run.status == 64)
    let reason = "a [ without its ] at byte 8: found blk.[0-3"
    #expect(run.messages.contains(reason), "\(run.messages)")
  }

  /// A folder whose only model is a set of splits stands for it in every command.
  @Test func aFolderOfSplitsIsAModel() throws {
    let workspace = try Workspace()
    let path = try convert(workspace, ["--quant", "f32", "--no-manifest"])
    let parts = ["--quant", "f32", "--max-shard-size", "200KB", "--no-manifest"]
    try workspace.write("s/README.md", "x".utf8)
    let again = try FathomProcess(
      ["convert", GGUFCommandTests.sample, workspace.path("s/m.gguf"), "--to", "gguf"] + parts)
    #expect(again.status == 0, "\(again.messages)")
    #expect(try workspace.names("s").count > 3)
    for command in ["inspect", "hash"] {
      let whole = try FathomProcess(command, path, "--format", "json")
      let split = try FathomProcess(command, workspace.path("s"), "--format", "json")
      #expect(split.status == 0, "\(split.messages)")
      let key = command == "hash" ? "checkpoint" : "architecture"
      #expect(try JSONDocument(split.output).string(key) == JSONDocument(whole.output).string(key))
    }
    #expect(try FathomProcess("validate", workspace.path("s"), "--deep").status == 0)
    let same = try FathomProcess("diff", path, workspace.path("s"), "--max-abs", "0")
    #expect(same.status == 0, "\(same.messages)")
    // A second model makes it unclear which one is meant.
    try workspace.write("s/other.gguf", contents(path))
    let unclear = try FathomProcess("inspect", workspace.path("s"))
    #expect(unclear.status == 64 && unclear.messages.contains("other.gguf"), "\(unclear.messages)")
    // A split that is missing is named.
    try FileManager.default.removeItem(atPath: workspace.path("s/other.gguf"))
    let names = try workspace.names("s").filter { $0.hasSuffix(".gguf") }
    try FileManager.default.removeItem(atPath: workspace.path("s/\(names[1])"))
    try workspace.write("s/\(names[1]).incomplete", [1])
    let missing = try FathomProcess("inspect", workspace.path("s"))
    #expect(missing.status == 66 && missing.messages.contains(names[1]), "\(missing.messages)")
    #expect(missing.messages.contains("hf download"))
  }

  private static let foreign: [(UInt32, String, String)] = [
    (139, "IQ4_K", "ik_llama.cpp"), (212, "Q4_K_R4", "ik_llama.cpp"),
    (31, "Q4_0_4_4", "removed"), (38, "IQ4_NL_8_8", "removed"), (7777, "number 7777", "not known"),
  ]

  /// Types of other programs, of other times, and of nobody: everything else is shown.
  @Test(arguments: foreign)
  func foreignTypesAreNamed(number: UInt32, name: String, origin: String) throws {
    let workspace = try Workspace()
    let path = workspace.path("x.gguf")
    let sample = Repository.samples + "/tiny-trained"
    let made = try FathomProcess("convert", sample, path, "--to", "gguf", "--quant", "q4_k_m")
    #expect(made.status == 0, "\(made.messages)")
    let sound = try JSONDocument(try FathomProcess("inspect", path, "--format", "json").output)
    var file = try Data(contentsOf: URL(fileURLWithPath: path))
    let range = try #require(file.range(of: Data("blk.1.ffn_gate_exps.weight".utf8)))
    // Behind the name stand the number of dimensions, three of them, and the type.
    let place = range.upperBound + 4 + 3 * 8
    file.replaceSubrange(
      place..<place + 4, with: (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
    try file.write(to: URL(fileURLWithPath: path))
    let document = try expectValid(["inspect", path, "--format", "json"], "fathom.inspect.1")
    for key in ["total", "main", "activePerToken"] {
      #expect(document.integer("parameters", key) == sound.integer("parameters", key), "\(key)")
    }
    #expect(document.integer("totals", "bytes") == sound.integer("totals", "bytes"))
    let note = (document["notes"] as? [String])?.first ?? ""
    #expect(note.contains(name) && note.contains(origin), "\(note)")
    let text = try FathomProcess("inspect", path, "--tensors", "*ffn_gate_exps*")
    #expect(text.status == 0 && text.output.contains(number == 7777 ? "unknown" : name))
    let tokens = try workspace.write("ids.json", "[1,2]".utf8)
    for arguments in [
      ["logits", path, "--tokens", tokens, "-o", workspace.path("l")],
      ["convert", path, workspace.path("out"), "--to", "hf"], ["diff", path, path],
      ["verify", path, path], ["inspect", path, "--stats"],
    ] {
      let run = try FathomProcess(arguments)
      #expect(run.status == 65 && run.messages.contains(name), "\(arguments): \(run.messages)")
      #expect(run.messages.contains(origin) && run.messages.contains("ffn_gate_exps"))
    }
    let validation = try FathomProcess("validate", path, "--deep")
    #expect(validation.status == 1 && validation.output.contains(name), "\(validation.messages)")
    #expect(try FathomProcess("hash", path).status == 0)
  }

  /// Of an architecture that is not read the tensors are shown.
  @Test func anyArchitecturesTensorsAreShown() throws {
    let workspace = try Workspace()
    let path = try convert(workspace, ["--quant", "f32"])
    let sound = try expectValid(["inspect", path, "--format", "json"], "fathom.inspect.1")
    var file = try Data(contentsOf: URL(fileURLWithPath: path))
    let range = try #require(file.range(of: Data("deepseek2".utf8)))
    file.replaceSubrange(range, with: Data("qwen3next".utf8))
    try file.write(to: URL(fileURLWithPath: path))
    let document = try expectValid(
      ["inspect", path, "--format", "json", "--tensors"], "fathom.inspect.1")
    #expect(document.string("architecture") == "qwen3next" && document["parameters"] == nil)
    #expect(document.integer("totals", "bytes") == sound.integer("totals", "bytes"))
    #expect(document.list("tensors").count == sound.integer("totals", "tensors"))
    #expect(try FathomProcess("inspect", path).output.contains("qwen3next"))
    #expect(try FathomProcess("hash", path).status == 0)
    let refusal = try FathomProcess("validate", path)
    #expect(refusal.status == 65 && refusal.messages.contains("qwen3next"), "\(refusal.messages)")
  }

  /// IQ3_S of llama.cpp, and so ours, loses the places behind zeros in the middle of a block.
  @Test func anEncoderThatMovesCodesIsNamed() throws {
    let workspace = try Workspace()
    let (plain, name) = (workspace.path("plain"), "model.layers.0.mlp.gate_proj.weight")
    let copy = try FathomProcess(
      "convert", Repository.samples + "/tiny-trained", plain, "--to", "hf", "--quant", "bf16")
    #expect(copy.status == 0, "\(copy.messages)")
    func warnings(zeroing columns: Range<Int>, as type: String) throws -> String {
      let view = try SafetensorsView(plain + "/model.safetensors")
      let whole = try view.bytes(of: name)
      let row = 3 * 256
      var bytes = whole
      for column in columns { (bytes[2 * (row + column)], bytes[2 * (row + column) + 1]) = (0, 0) }
      try view.overwrite(name, with: bytes)
      let run = try FathomProcess(
        "convert", plain, workspace.path("out.gguf"), "--to", "gguf", "--quant", type,
        "--overwrite")
      #expect(run.status == 0, "\(run.messages)")
      try view.overwrite(name, with: whole)
      return run.output + run.messages
    }
    let word = "IQ3_S leaves no room for 32 zeros in a row"
    let said = try warnings(zeroing: 0..<32, as: "iq3_s")
    #expect(said.contains(word) && said.contains("in 1 tensor, "), "\(said)")
    #expect(said.contains(": blk.0.ffn_gate.weight; "))
    #expect(try warnings(zeroing: 64..<128, as: "iq3_s").contains(word))
    // Nothing stands behind these; a sub-block with one number is none of zeros.
    #expect(try !warnings(zeroing: 224..<256, as: "iq3_s").contains(word))
    #expect(try !warnings(zeroing: 0..<31, as: "iq3_s").contains(word))
    #expect(try !warnings(zeroing: 0..<32, as: "iq4_xs").contains(word))
  }
}
