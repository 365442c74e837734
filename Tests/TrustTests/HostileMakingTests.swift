import Foundation
import Support
import Tensors
import Testing

/// Small files that ask for very much: each is refused, or read within the bounds of `BoundsTests`.
@Suite(.enabled(if: Sanitizer.keepsMemory)) struct HostileMakingTests {
  let workspace: Workspace
  let model: String

  init() throws {
    workspace = try Workspace()
    model = try workspace.copy(sample: "tiny-bf16")
  }

  private func refused(_ arguments: [String], status: Int32 = 65, _ part: String) throws {
    let run = try BoundsTests.run(arguments)
    #expect(run.status == status, "\(run.status) \(run.messages)")
    #expect(run.messages.contains(part), "\(run.messages)")
    #expect(run.messages.split(separator: "\n").count == 1, "\(run.messages)")
  }

  // MARK: Names

  private func writeIndex(_ files: [String]) throws {
    let entries = files.enumerated().map { "\"t\($0)\":\"\($1)\"" }.joined(separator: ",")
    try workspace.write(
      "tiny-bf16/model.safetensors.index.json", "{\"weight_map\":{\(entries)}}".utf8)
  }

  @Test(arguments: [300, 9000]) func setsOfShardsShareABound(sets: Int) throws {
    try writeIndex((0..<sets).map { "s\($0)-00001-of-10000.safetensors" })
    for command in ["inspect", "validate", "hash"] {
      try refused([command, model], "has too many files")
    }
  }

  @Test func divisionsShareABound() throws {
    try writeIndex((1...200).map { "model0-mp\($0 + 9000).safetensors" })
    for command in ["inspect", "validate"] {
      try refused([command, model], "has too many files")
    }
  }

  /// The name is repeated for each file that it implies.
  @Test func aLongNameOfAShardIsNotMultiplied() throws {
    let stem = String(repeating: "s", count: 1_000_000)
    try writeIndex(["\(stem)-00001-of-09000.safetensors"])
    let run = try BoundsTests.run(["inspect", model])
    #expect(run.status == 66, "\(run.messages.prefix(200))")
  }

  /// What may be missing from one set, no more and no less, is named.
  @Test func aLargeSetIsStillNamed() throws {
    try writeIndex(["s-00001-of-09000.safetensors"])
    let report = try JSONDocument(
      printedBy: ["validate", model], schema: "fathom.validate.1", status: 1)
    let missing = report.list("findings").filter { $0.string("rule") == "missing-shard" }
    #expect(missing.reduce(0) { $0 + ($1.integer("count") ?? 1) } == 9000)
  }

  /// Each shard is cut short and says that it has half of the bytes that a number can count, or as
  /// many as a file may have.
  @Test(arguments: [1 << 59, 1 << 45, 1 << 44])
  func sizesOfAllShardsAreAddedUp(size: Int) throws {
    try FileManager.default.removeItem(atPath: model + "/model.safetensors")
    for number in 1...20 {
      let place = number < 10 ? "0\(number)" : "\(number)"
      try workspace.write(
        "tiny-bf16/model-000\(place)-of-00020.safetensors",
        SafetensorsFixture([("t\(number)", .u8, [size])]).header)
    }
    for options in [[], ["--deep"]] {
      let run = try BoundsTests.run(["validate", model] + options)
      #expect(run.status == (size > 1 << 44 ? 65 : 1), "\(run.messages)")
    }
    let run = try BoundsTests.run(["inspect", model])
    #expect(run.status == 65 && run.messages.contains("byte"), "\(run.messages)")
  }

  // MARK: Documents

  /// Each of them alone is read.
  @Test func documentsTogetherStayWithinBounds() throws {
    let ones = "\"x\":[1" + String(repeating: ",1", count: 3_500_000) + "]"
    let text = try workspace.write("text", "Hello".utf8)
    let commands = [
      ["inspect", model], ["validate", model], ["hash", model],
      ["convert", model, workspace.path("o.gguf"), "--to", "gguf", "--quant", "q8_0", "--dry-run"],
      ["convert", model, workspace.path("o"), "--to", "mlx", "--dry-run"],
      ["logits", model, "--text", text, "--max-tokens", "4", "-o", workspace.path("l")],
    ]
    let names = [
      "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
    ]
    for name in names {
      let path = "\(model)/\(name)"
      let known = (try? contents(path)).map { String(decoding: $0, as: UTF8.self) } ?? "{\"a\":1}"
      try workspace.write("tiny-bf16/\(name)", "{\(ones),\(known.dropFirst())".utf8)
    }
    for command in commands { try BoundsTests.run(command) }
    // As many as one may have, in each.
    let few = "\"x\":[1" + String(repeating: ",1", count: 190_000) + "]"
    for name in names {
      let sample = "\(Repository.samples)/tiny-bf16/\(name)"
      let known = (try? contents(sample)).map { String(decoding: $0, as: UTF8.self) } ?? "{\"a\":1}"
      let most = name == "tokenizer.json" ? ones.prefix(1_900_000) + "]" : few[...]
      try workspace.write("tiny-bf16/\(name)", "{\(most),\(known.dropFirst())".utf8)
    }
    for command in commands {
      let run = try BoundsTests.run(command)
      #expect(run.status == 0, "\(command) \(run.messages)")
    }
  }
}
