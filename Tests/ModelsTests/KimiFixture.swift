import Foundation
import Models
import Platform
import Support
import Tensors
import Text

/// What `scripts/make kimi-fixtures` made with tiktoken 0.14 and llama.cpp's converter.
struct KimiFixture {
  /// The vocabulary's name.
  let name: String
  /// `tiktoken.model`
  let ranks: [UInt8]
  /// `tokenizer_config.json`
  let settings: JSONObject
  /// `config.json`
  let config: JSONValue
  /// Texts and their ids.
  let texts: [(text: String, ids: [Int])]
  /// Texts that Kimi's code cuts, with the number of their ids and a hash of them.
  let long: [(text: String, count: Int, hash: String)]
  /// What the converter writes, by the rows of the embedding table.
  let gguf: [(size: Int, keys: JSONObject)]

  static let names = ["trained", "wild"]

  /// Reads one case.
  init(_ name: String) throws {
    let row = try TokenizerFixture.json("kimi.json").list.first { $0["name"] == .string(name) }
    guard let row, case .object(let settings)? = row["settings"], let config = row["config"] else {
      throw Fault(.malformed, "no case \(name)")
    }
    self.name = name
    self.settings = settings
    self.config = config
    ranks = Array((row["file"]?.string ?? "").utf8)
    let ids = (row["ids"]?.list ?? []).map { $0.list.compactMap(\.integer) }
    texts = Array(zip((row["texts"]?.list ?? []).compactMap(\.string), ids))
    long = (row["long"]?.list ?? []).map { row in
      let text = (row["parts"]?.list ?? []).reduce(into: "") { text, part in
        text += String(repeating: part.list[0].string ?? "", count: part.list[1].integer ?? 0)
      }
      return (text, row["count"]?.integer ?? 0, row["hash"]?.string ?? "")
    }
    gguf = (row["gguf"]?.list ?? []).compactMap { row in
      guard case .object(let keys) = row else { return nil }
      return (keys["size"]?.integer ?? 0, keys)
    }
  }

  /// The files with some of their settings changed; nil removes one.
  func files(
    _ changes: [String: JSONValue?] = [:], ranks: [UInt8]? = nil, template: String? = nil
  ) throws -> KimiTokenizerFiles {
    var settings = settings
    for (key, value) in changes { settings[key] = value }
    return try KimiTokenizerFiles(
      ranks: ranks ?? self.ranks, settings: .object(settings), template: template, folder: "model")
  }

  /// A hash of ids.
  static func hash(_ ids: [Int]) -> String {
    SHA256.digits(Array(ids.map(String.init).joined(separator: ",").utf8))
  }
}
