import Foundation
import Models
import Platform
import Support
import Text

/// What `scripts/make tokenizer-fixtures` made with Hugging Face's tokenizers 0.23.3.
enum TokenizerFixture {
  /// A fixture's document.
  static func json(_ name: String) throws -> JSONValue {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Fixtures/\(name)")
    return try JSONValue(parsing: contents(file.path), file: name)
  }

  /// `tokenizer.json` with some keys changed; nil removes a key.
  static func files(
    _ changes: [String: JSONValue?] = [:], settings: JSONValue? = nil, template: String? = nil
  ) throws -> TokenizerFiles {
    guard case .object(var object) = try json("tokenizer.json") else {
      throw Fault(.malformed, "no object")
    }
    for (key, value) in changes { object[key] = value }
    return TokenizerFiles(tokenizer: .object(object), settings: settings, template: template)
  }

  /// The tokenizer of changed files.
  static func tokenizer(_ changes: [String: JSONValue?] = [:]) throws -> Tokenizer {
    try Tokenizer(files(changes), folder: "model")
  }

  /// The model of `tokenizer.json` with some keys changed.
  static func model(_ changes: [String: JSONValue]) throws -> JSONValue {
    guard case .object(var model)? = try json("tokenizer.json")["model"] else {
      throw Fault(.malformed, "no model")
    }
    for (key, value) in changes { model[key] = value }
    return .object(model)
  }

  /// The vocabulary with further tokens.
  static func vocabulary(_ further: [String: JSONValue]) throws -> JSONValue {
    guard case .object(var words)? = try json("tokenizer.json")["model"]?["vocab"] else {
      throw Fault(.malformed, "no vocabulary")
    }
    for (word, id) in further.sorted(by: { $0.key < $1.key }) { words[word] = id }
    return .object(words)
  }

  /// Texts and their ids by the names of the settings that they were tokenized with.
  struct Case: CustomStringConvertible {
    let name: String
    let changes: [String: JSONValue]
    let texts: [String]
    let ids: [[Int]]
    var description: String { name }
  }

  /// All cases.
  static func cases() throws -> [Case] {
    try json("tokenizer-cases.json").list.map { row in
      guard case .string(let name)? = row["name"], case .object(let object)? = row["changes"] else {
        throw Fault(.malformed, "no case")
      }
      var changes: [String: JSONValue] = [:]
      for key in object.keys { changes[key] = object[key] }
      if name == "whole words" { changes["model"] = try wholeWords() }
      return Case(
        name: name, changes: changes, texts: (row["texts"]?.list ?? []).compactMap(\.string),
        ids: (row["ids"]?.list ?? []).map { $0.list.compactMap(\.integer) })
    }
  }

  /// The model of the case `whole words`: merges as texts, two tokens that no merges make, and
  /// pieces that are tokens kept whole.
  private static func wholeWords() throws -> JSONValue {
    let merges = try json("tokenizer.json")["model"]?["merges"]?.list ?? []
    return try model([
      "merges": .array(
        merges.map { pair in .string(pair.list.compactMap(\.string).joined(separator: " ")) }),
      "vocab": vocabulary(["Ġwholewords": .integer(900), "ĠĠĊĠ": .integer(901)]),
      "ignore_merges": .bool(true),
    ])
  }
}

extension JSONValue {
  /// The elements of an array; none for others.
  var list: [JSONValue] { if case .array(let values) = self { values } else { [] } }
  /// A string's text.
  var string: String? { if case .string(let text) = self { text } else { nil } }
  /// An integer's value.
  var integer: Int? { if case .integer(let value) = self { value } else { nil } }
}
