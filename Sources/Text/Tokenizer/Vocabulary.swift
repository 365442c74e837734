internal import Platform

/// Tokens of a byte-level BPE tokenizer by their ids, with what kind each is.
struct Vocabulary {
  /// The kinds, by the numbers of `tokenizer.ggml.token_type`.
  enum Kind: Int32 {
    case normal = 1
    case control = 3
    case userDefined = 4
    case unused = 5
  }

  /// The texts; `[PADn]` for ids that the tokenizer does not use.
  private(set) var tokens: [String] = []
  /// Their kinds.
  private(set) var kinds: [Kind] = []
  /// Ids of the tokens that `added_tokens` lists, by their text.
  let addedIDs: [String: Int]

  private struct Added {
    let isSpecial: Bool
    let isNormalized: Bool
  }

  /// Reads `tokenizer.json`.
  ///
  /// - Parameter size: rows of the embedding table; ids beyond the tokenizer's are padding.
  /// - Throws: `.malformed` where it is no BPE tokenizer or has more tokens than the model.
  init(_ files: TokenizerFiles, size: Int, file: String) throws(Fault) {
    guard files.tokenizer["model"]?["type"] == .string("BPE"),
      case .object(let words)? = files.tokenizer["model"]?["vocab"]
    else {
      throw Fault(.malformed, "is no BPE tokenizer", file: file, expected: "model.type \"BPE\"")
    }
    var texts: [Int: String] = [:]
    texts.reserveCapacity(words.count)
    for word in words.keys {
      guard case .integer(let id)? = words[word] else {
        throw Fault(.malformed, "has a token without an id", file: file, found: word)
      }
      texts[id] = word
    }
    var added: [Int: Added] = [:]
    var addedIDs: [String: Int] = [:]
    for token in try Vocabulary.added(files, file: file) {
      texts[token.id] = token.text
      added[token.id] = token.added
      if addedIDs[token.text] == nil { addedIDs[token.text] = token.id }
    }
    self.addedIDs = addedIDs
    // transformers makes the named special tokens added ones, whether they are listed or not.
    for text in Vocabulary.named(files) {
      guard case .integer(let id)? = words[text], added[id] == nil else { continue }
      added[id] = Added(isSpecial: true, isNormalized: false)
    }
    if let largest = texts.keys.max(), largest >= size || texts.keys.contains(where: { $0 < 0 }) {
      throw Fault(
        .malformed, "has ids outside the model's vocabulary", file: file,
        expected: "at most \(size - 1)", found: "\(largest)")
    }
    let isByteLevel = files.tokenizer["decoder"]?["type"] == .string("ByteLevel")
    for id in 0..<size { append(texts[id], added[id], id: id, isByteLevel: isByteLevel) }
  }

  private mutating func append(_ text: String?, _ added: Added?, id: Int, isByteLevel: Bool) {
    guard var text else {
      tokens.append("[PAD\(id)]")
      kinds.append(.unused)
      return
    }
    guard let added else {
      tokens.append(text)
      kinds.append(.normal)
      return
    }
    // llama.cpp expects added tokens as the text that they stand for.
    if !added.isNormalized, isByteLevel { text = ByteLevelAlphabet.decode(text) }
    let isControl = added.isSpecial || Vocabulary.looksSpecial(text)
    if !isControl { text = ExactText(text).replacing("▁", with: " ").text }
    tokens.append(text)
    kinds.append(isControl ? .control : .userDefined)
  }

  private static func added(
    _ files: TokenizerFiles, file: String
  ) throws(Fault) -> [(id: Int, text: String, added: Added)] {
    guard case .array(let entries)? = files.tokenizer["added_tokens"] else { return [] }
    var tokens: [(id: Int, text: String, added: Added)] = []
    for entry in entries {
      guard case .integer(let id)? = entry["id"], case .string(let text)? = entry["content"] else {
        throw Fault(
          .malformed, "has an added token without id or content", file: file,
          found: entry.text(indent: nil))
      }
      tokens.append(
        (
          id, text,
          Added(
            isSpecial: entry["special"] == .bool(true),
            isNormalized: entry["normalized"] == .bool(true))
        ))
    }
    return tokens
  }

  private static func named(_ files: TokenizerFiles) -> [String] {
    SpecialTokens.names.compactMap { SpecialTokens.text(of: files.settings?["\($0)_token"]) }
  }

  /// Some tokenizers mark control tokens as ordinary ones; llama.cpp knows them by their look.
  private static func looksSpecial(_ text: String) -> Bool {
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(text)
      || text.hasPrefix("<|") && text.hasSuffix("|>")
      || text.hasPrefix("<｜") && text.hasSuffix("｜>")
      || text.hasPrefix("<unused") && text.hasSuffix(">")
  }
}

extension String {
  /// The text with one scalar replaced by another, whatever characters they are part of.
  func replacing(_ scalar: Unicode.Scalar, with other: Unicode.Scalar) -> String {
    guard unicodeScalars.contains(scalar) else { return self }
    var text = UnicodeScalarView()
    for next in unicodeScalars { text.append(next == scalar ? other : next) }
    return String(text)
  }
}
