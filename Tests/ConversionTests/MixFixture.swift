import Conversion
import Dialects
import Formats
import Foundation
import Mixes
import Platform
import Support
import Tensors
import Testing

/// One of `Fixtures/mix-*.json`; the script that writes them explains their form.
struct MixFixture: Sendable {
  let model: TypeMix.Model
  let tensors: [TypeMix.Tensor]
  /// Names in the order of the peer's output.
  let writingOrder: [String]

  /// What llama-quantize did, told to do something with a model.
  struct Run: CustomTestStringConvertible, Sendable {
    let name: String
    let fixture: MixFixture
    let fileType: String
    let options: [String]
    let code: UInt32?
    /// Names with types; nil where it refused.
    let types: [String: String]?
    let refusal: String?

    var testDescription: String { ([name, fileType] + options).joined(separator: " ") }

    /// The same asked of Fathom.
    func mix() throws -> TypeMix {
      var recipe = GGUFRecipe(try GGUFFileType(named: fileType))
      var importance: Set<ExactText>?
      let words = self.options
      for (index, flag) in words.enumerated() where flag.hasPrefix("--") {
        // The word after it, for those flags that take one.
        let word = index + 1 < words.count ? words[index + 1] : ""
        switch flag {
        case "--pure": recipe.isPure = true
        case "--leave-output-tensor": recipe.leavesOutput = true
        case "--allow-requantize": recipe.allowsRequantizing = true
        case "--keep-split": recipe.keepsSplit = true
        case "--output-tensor-type": recipe.outputType = try TensorTypeRule.type(named: word)
        case "--token-embedding-type":
          recipe.embeddingType = try TensorTypeRule.type(named: word)
        case "--tensor-type": recipe.tensorTypes.append(try TensorTypeRule(parsing: word))
        case "--imatrix":
          importance = Set(fixture.tensors.map(\.name))
          if word == "part-imatrix.gguf" {
            importance?.subtract(["token_embd.weight", "blk.1.attn_q_a.weight"])
          }
        default: Issue.record("\(flag)")
        }
      }
      return try TypeMix(
        recipe, tensors: fixture.tensors, model: fixture.model, importance: importance)
    }
  }

  static let names = [
    "moe", "mtp", "eight", "eight-kv-b", "kv-b", "kv-b-shared", "dense", "lite", "narrow", "split",
    "quantized",
  ]

  private init(_ json: JSONDocument) throws {
    func count(_ key: String) throws -> Int { try #require(json.integer("model", key)) }
    model = TypeMix.Model(
      blockCount: try count("block_count"), expertCount: try count("expert_count"),
      headCount: try count("head_count"), keyValueHeadCount: try count("head_count_kv"))
    var tensors: [TypeMix.Tensor] = []
    for row in json.list("tensors") {
      let kind = try #require(row.string("name"))
      let extents = row.list("shape").map { ($0.root as? Int) ?? 0 }
      let type = try #require(ElementType(rawValue: row.string("type") ?? ""))
      let layers = row.list("layers").map { ($0.root as? Int) ?? -1 }
      for name in layers.isEmpty ? [kind] : layers.map({ MixFixture.name(kind, $0) }) {
        tensors.append(TypeMix.Tensor(name: ExactText(name), extents: extents, type: type))
      }
    }
    let order = json["order"] as? [String]
    writingOrder = order ?? tensors.map(\.name).sorted(by: TypeMix.precedes).map(\.text)
    let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
    // Where the order matters it is given; elsewhere it must not, so it is turned.
    self.tensors = order.map { $0.compactMap { byName[ExactText($0)] } } ?? tensors.reversed()
  }

  /// Every run of every fixture.
  static let runs = Result {
    try names.flatMap { name in
      let path = "\(Repository.root)/Tests/ConversionTests/Fixtures/mix-\(name).json"
      let json = try JSONDocument(String(decoding: try contents(path), as: UTF8.self))
      let fixture = try MixFixture(json)
      let unchanged = Set(try #require(json["unchanged"] as? [String]))
      return try json.list("runs").map { row in
        let refusal = row.string("refused")
        return Run(
          name: name, fixture: fixture, fileType: try #require(row.string("file_type")),
          options: row["options"] as? [String] ?? [], code: row.integer("code").map { UInt32($0) },
          types: refusal == nil ? try fixture.types(row, unchanged) : nil, refusal: refusal)
      }
    }
  }

  private func types(_ row: JSONDocument, _ unchanged: Set<String>) throws -> [String: String] {
    let base = try #require(row.string("base"))
    let others = try #require(row["types"] as? [String: String]).mapValues(MixFixture.unpacked)
    var types: [String: String] = [:]
    var used: [String: Int] = [:]
    for tensor in tensors.sorted(by: { TypeMix.precedes($0.name, $1.name) }) {
      let kind = MixFixture.kind(tensor.name.text)
      let place = used[kind, default: 0]
      used[kind] = place + 1
      types[tensor.name.text] =
        unchanged.contains(kind) ? tensor.type.rawValue : others[kind].map { $0[place] } ?? base
    }
    return types
  }

  /// `Q6_K*2 Q4_K` as three types.
  private static func unpacked(_ text: String) -> [String] {
    text.split(separator: " ").flatMap { group in
      let parts = group.split(separator: "*")
      return Array(
        repeating: String(parts[0]), count: parts.count > 1 ? Int(parts[1]) ?? 0 : 1)
    }
  }

  private static func kind(_ name: String) -> String {
    guard name.hasPrefix("blk.") else { return name }
    return "blk.*." + name.dropFirst(4).drop { $0 != "." }.dropFirst()
  }

  private static func name(_ kind: String, _ layer: Int) -> String {
    "blk.\(layer)." + kind.dropFirst(6)
  }
}
