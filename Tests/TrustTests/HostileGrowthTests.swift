import Foundation
import Support
import Tensors
import Testing

/// Files whose parts multiply: tokens of a tokenizer, entries and chunks of a packed file. Each is
/// refused, or read within the bounds of `BoundsTests`.
@Suite(.enabled(if: Sanitizer.keepsMemory)) struct HostileGrowthTests {
  let workspace: Workspace
  let model: String

  init() throws {
    workspace = try Workspace()
    model = try workspace.copy(sample: "tiny-bf16")
  }

  // MARK: Tokenizers

  private func changeTokenizer(_ body: (inout [String: Any]) -> Void) throws {
    let path = model + "/tokenizer.json"
    let root = try JSONSerialization.jsonObject(with: Data(contents(path)))
    var object = try #require(root as? [String: Any])
    body(&object)
    try JSONSerialization.data(withJSONObject: object).write(to: URL(fileURLWithPath: path))
  }

  private func logits(_ text: String) throws -> FathomProcess {
    let text = try workspace.write("text", text.utf8)
    return try BoundsTests.run(
      [
        "logits", model, "--text", text, "--max-tokens", "4", "-o", workspace.path("logits"),
        "--overwrite",
      ])
  }

  @Test func aTemplateOfATokenThatStandsForMany() throws {
    let piece = ["SpecialToken": ["id": "a", "type_id": 0] as [String: Any]]
    let text = ["Sequence": ["id": "A", "type_id": 0] as [String: Any]]
    func processor(_ pieces: Int, ids: Int) -> [String: Any] {
      [
        "type": "TemplateProcessing", "pair": [Any](),
        "single": [Any](repeating: piece, count: pieces) + [text],
        "special_tokens": [
          "a": ["id": "a", "ids": [Int](repeating: 0, count: ids), "tokens": ["x"]] as [String: Any]
        ],
      ]
    }
    let bombs: [[String: Any]] = [
      processor(1000, ids: 100_000), processor(10_000, ids: 1), processor(1, ids: 257),
      ["type": "Sequence", "processors": [Any](repeating: processor(1, ids: 200), count: 2)],
    ]
    for bomb in bombs {
      try changeTokenizer { $0["post_processor"] = bomb }
      let run = try logits("Hello")
      #expect(run.status == 65, "\(run.messages)")
      #expect(run.messages.contains("puts too many tokens around every text"), "\(run.messages)")
    }
    try changeTokenizer { $0["post_processor"] = processor(2, ids: 128) }
    #expect(try logits("Hello").status == 0)
  }

  /// Each place of the text begins like all of the tokens, or ends like them, and goes on like none.
  @Test func addedTokensThatBeginAlike() throws {
    var first = 0
    try changeTokenizer { object in
      let model = object["model"] as? [String: Any]
      let words = model?["vocab"] as? [String: Int] ?? [:]
      let known = object["added_tokens"] as? [[String: Any]] ?? []
      first = max(words.values.max() ?? 0, known.compactMap { $0["id"] as? Int }.max() ?? 0) + 1
      let added = (0..<64).map { number -> [String: Any] in
        [
          "id": first + number,
          "content": (number % 4 < 2 ? "" : "b") + String(repeating: "a", count: 440 + number)
            + (number % 4 < 2 ? "b" : ""),
          "special": false, "normalized": number % 2 == 0, "single_word": false, "lstrip": false,
          "rstrip": true,
        ]
      }
      object["added_tokens"] = known + added
    }
    #expect(first > 0)
    let run = try logits(
      String(repeating: String(repeating: "a", count: 430) + " ", count: 40_000))
    // Ids beyond the model's vocabulary are refused only if they are found.
    #expect(run.status == 0, "\(run.messages)")
  }

  @Test func addedTokensThatTakeWhiteSpaceAgainAndAgain() throws {
    try changeTokenizer { object in
      let known = object["added_tokens"] as? [[String: Any]] ?? []
      let words = (object["model"] as? [String: Any])?["vocab"] as? [String: Int] ?? [:]
      let next = max(words.values.max() ?? 0, known.compactMap { $0["id"] as? Int }.max() ?? 0) + 1
      object["added_tokens"] =
        known
        + ["\n", "\t"].enumerated().map { number, text -> [String: Any] in
          [
            "id": next + number, "content": text, "special": false, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": text == "\n",
          ]
        }
    }
    for unit in ["\n", "\n\t"] {
      let run = try logits(String(repeating: unit, count: 2_000_000))
      #expect(run.status == 0, "\(run.messages)")
    }
  }

  // MARK: Lists

  /// Each entry takes many times its bytes: there are no more than tensors of a checkpoint.
  @Test func entriesOfListsAreCounted() throws {
    let tensors = (0...1_000_000).map { "{\"name\":\"\($0)\"}" }.joined(separator: ",")
    let manifest = try workspace.write(
      "manifest",
      ("{\"schema\":\"fathom.manifest/1\",\"output\":{\"tensors\":[],\"files\":[]},"
        + "\"source\":{\"tensors\":[\(tensors)]}}").utf8)
    let commands = [
      ["validate", model, "--manifest-file", manifest], ["hash", model, "--check", manifest],
    ]
    for command in commands {
      let run = try BoundsTests.run(command)
      #expect(run.status == 65 && run.messages.contains("too many tensors"), "\(run.messages)")
    }
  }

  // MARK: Packed files

  @Test func whatCouldNotBeReadAgainIsNotPacked() throws {
    let entries = (0..<450_000).map {
      "\"\($0)\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"
    }
    try workspace.write(
      "tiny-bf16/model.safetensors",
      SafetensorsFixture.framed("{" + entries.joined(separator: ",") + "}"))
    let hash = try BoundsTests.run(["hash", model])
    #expect(hash.status == 0, "\(hash.messages)")
    let run = try BoundsTests.run(["pack", model, workspace.path("packed")])
    #expect(run.status == 65 && run.messages.contains("could not be read again"), "\(run.messages)")
    #expect(try workspace.names() == ["tiny-bf16"])
  }

  /// Zeros for ever: a byte for each million.
  @Test func unpackingSaysHowMuchItBecomes() throws {
    let size = 3 << 29
    try SafetensorsFixture([("a", .u8, [size])]).writeSparse(to: model + "/model.safetensors")
    let packed = workspace.path("packed")
    #expect(try BoundsTests.run(["pack", model, packed]).status == 0)
    try FileManager.default.removeItem(atPath: model)
    let output = workspace.path("back")
    let run = try BoundsTests.run(["unpack", packed, output])
    #expect(run.status == 65, "\(run.messages)")
    #expect(run.messages.contains("1.50 GiB") && run.messages.contains("--allow-growth"))
    #expect(!FileManager.default.fileExists(atPath: output))
    let asked = try BoundsTests.run(["unpack", packed, output, "--allow-growth"])
    #expect(asked.status == 0 && asked.messages.contains("become 1.50 GiB"), "\(asked.messages)")
    let file = try FileManager.default.attributesOfItem(atPath: output + "/model.safetensors")
    #expect((file[.size] as? Int ?? 0) > size)
  }

  /// Each header is within its bounds, and takes next to nothing in its packed file.
  @Test func headersOfPackedFilesShareABound() throws {
    let text = String(repeating: "m", count: 30_000_000)
    func header(_ tensor: String) -> [UInt8] {
      SafetensorsFixture.framed(
        "{\"__metadata__\":{\"a\":\"\(text)\"},"
          + "\"\(tensor)\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}")
    }
    try workspace.write("tiny-bf16/model.safetensors", header("t") + [0])
    let packed = workspace.path("packed")
    #expect(try BoundsTests.run(["pack", model, packed]).status == 0)
    let bytes = try contents(packed + "/model.safetensors")
    #expect(bytes.count < 100_000)
    try FileManager.default.removeItem(atPath: packed + "/model.safetensors")
    for number in 1...40 {
      let digits = number < 10 ? "0\(number)" : "\(number)"
      try workspace.write("packed/model-000\(digits)-of-00040.safetensors", bytes)
    }
    for command in ["inspect", "validate", "hash"] {
      let run = try BoundsTests.run([command, packed])
      #expect(run.status == 65 && run.messages.contains("too many bytes of headers"))
    }
  }
}
