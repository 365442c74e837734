package import Platform

extension Tokenizer {
  /// Largest id that a token may have.
  private static let idLimit = 1 << 24
  /// Ids that may be put around every text; models have one or two.
  private static let surroundingLimit = 256

  /// Builds the tokenizer that `tokenizer.json` describes.
  ///
  /// - Parameter folder: where the files are, for messages.
  /// - Throws: `.malformed` where it is no byte-level BPE tokenizer, uses what Fathom does not
  ///   have, or contradicts itself.
  package init(_ files: TokenizerFiles, folder: String) throws(Fault) {
    file = Folder.join(folder, "tokenizer.json")
    let json = files.tokenizer
    try Tokenizer.requireNoNormalizer(json["normalizer"], file: file)
    let vocabulary = try Tokenizer.vocabulary(json["model"], file: file)
    let pairs = try files.mergePairs(file: file)
    self.pairs = try BytePairs(
      vocabulary: vocabulary, pairs: pairs,
      keepsWords: json["model"]?["ignore_merges"] == .bool(true),
      file: file)
    let tokens = try Tokenizer.addedTokens(json["added_tokens"], vocabulary, file: file)
    added = try AddedTokens(tokens, file: file)
    splitting = try TextSplitting(json: json["pre_tokenizer"], file: file)
    runs = nil
    texts = try Tokenizer.texts(vocabulary, tokens, file: file)
    (prefix, suffix) = try Tokenizer.surroundings(json["post_processor"], texts, file: file)
    chatTemplate = files.chatTemplate
    templateFile = Folder.join(folder, files.templateName)
    specialTexts = files.specialTexts
  }

  private static func requireNoNormalizer(_ json: JSONValue?, file: String) throws(Fault) {
    switch json {
    case nil, .null?: return
    case let json? where json["type"] == .string("Sequence") && json["normalizers"] == .array([]):
      return
    case let json?:
      throw Fault(
        .malformed, "has a normalizer, which is not supported", file: file, expected: "none",
        found: json["type"]?.text(indent: nil))
    }
  }

  /// Ids by token.
  private static func vocabulary(
    _ model: JSONValue?, file: String
  ) throws(Fault) -> [ExactText: Int] {
    guard let model, model["type"] == .string("BPE"), case .object(let words)? = model["vocab"]
    else {
      throw Fault(
        .malformed, "is no BPE tokenizer", file: file, expected: "model.type \"BPE\"",
        found: model?["type"]?.text(indent: nil))
    }
    // Settings of other kinds of BPE, with the values that leave it byte-level.
    let settings: [(name: String, values: [JSONValue])] = [
      ("dropout", [.null, .integer(0)]), ("byte_fallback", [.bool(false)]),
      ("continuing_subword_prefix", [.null, .string("")]),
      ("end_of_word_suffix", [.null, .string("")]),
    ]
    for (name, values) in settings {
      guard let value = model[name], !values.contains(value), !value.isZero else { continue }
      throw Fault(
        .malformed, "has a setting of BPE that is not supported", file: file,
        expected: "\(name) \(values[0].text(indent: nil))", found: value.text(indent: nil))
    }
    var vocabulary: [ExactText: Int] = [:]
    vocabulary.reserveCapacity(words.count)
    for word in words.keys {
      guard case .integer(let id)? = words[word], (0..<idLimit).contains(id) else {
        throw Fault(
          .malformed, "has a token without an id", file: file,
          expected: "an id from 0 to \(idLimit - 1) for \"\(word)\"",
          found: words[word]?.text(indent: nil))
      }
      vocabulary[ExactText(word)] = id
    }
    return vocabulary
  }

  /// The listed tokens.
  ///
  /// Hugging Face's tokenizers number them anew: a token of the vocabulary keeps its id, others get
  /// the next one. A file whose ids differ from those would mean two things.
  private static func addedTokens(
    _ json: JSONValue?, _ vocabulary: [ExactText: Int], file: String
  ) throws(Fault) -> [AddedTokens.Token] {
    guard let json, json != .null else { return [] }
    guard case .array(let rows) = json else {
      throw Fault(.malformed, "has added_tokens that are no list", file: file)
    }
    var tokens: [AddedTokens.Token] = []
    var places: [[UInt8]: Int] = [:]
    var next = vocabulary.count
    for row in rows {
      guard case .integer(let id)? = row["id"], case .string(let text)? = row["content"],
        !text.isEmpty
      else {
        throw Fault(
          .malformed, "has an added token without id or content", file: file,
          found: row.text(indent: nil))
      }
      let bytes = Array(text.utf8)
      let expected = vocabulary[ExactText(text)] ?? places[bytes].map { tokens[$0].id } ?? next
      guard id == expected else {
        throw Fault(
          .malformed, "has an added token \"\(text)\" whose id Hugging Face's tokenizers change",
          file: file, expected: "\(expected)", found: "\(id)")
      }
      next = max(next, id + 1)
      let token = AddedTokens.Token(
        text: bytes, id: id, isSingleWord: row["single_word"] == .bool(true),
        stripsLeft: row["lstrip"] == .bool(true), stripsRight: row["rstrip"] == .bool(true),
        isNormalized: row["normalized"] != .bool(false))
      guard places[bytes] == nil else {
        throw Fault(.malformed, "has an added token twice", file: file, found: text)
      }
      places[bytes] = tokens.count
      tokens.append(token)
    }
    return tokens
  }

  /// What ids stand for.
  private static func texts(
    _ vocabulary: [ExactText: Int], _ added: [AddedTokens.Token], file: String
  ) throws(Fault) -> [Int: [UInt8]] {
    var texts: [Int: [UInt8]] = [:]
    texts.reserveCapacity(vocabulary.count + added.count)
    for (word, id) in vocabulary {
      let bytes = ByteLevelAlphabet.bytes(of: word.text) ?? Array(word.text.utf8)
      guard texts.updateValue(bytes, forKey: id) == nil else {
        throw Fault(.malformed, "has two tokens with one id", file: file, found: "\(id)")
      }
    }
    for token in added { texts[token.id] = token.text }
    return texts
  }

  /// Ids that the post-processor puts before and after a text.
  private static func surroundings(
    _ json: JSONValue?, _ texts: [Int: [UInt8]], file: String
  ) throws(Fault) -> (prefix: [Int], suffix: [Int]) {
    guard let json, json != .null else { return ([], []) }
    switch json["type"] {
    case .string("ByteLevel"): return ([], [])
    case .string("Sequence"):
      guard case .array(let rows)? = json["processors"], rows.count <= 16 else { break }
      var (prefix, suffix): ([Int], [Int]) = ([], [])
      for row in rows {
        let inner = try surroundings(row, texts, file: file)
        (prefix, suffix) = (inner.prefix + prefix, suffix + inner.suffix)
        try requireFew(prefix.count + suffix.count, file: file)
      }
      return (prefix, suffix)
    case .string("TemplateProcessing"):
      return try template(json, texts, file: file)
    default: break
    }
    throw Fault(
      .malformed, "has a post-processor that is not supported", file: file,
      expected: "ByteLevel, TemplateProcessing or a Sequence of these",
      found: json["type"]?.text(indent: nil))
  }

  /// A template is short where it names a token that stands for many ids, many times.
  private static func requireFew(_ count: Int, file: String) throws(Fault) {
    guard count <= surroundingLimit else {
      throw Fault(
        .malformed, "puts too many tokens around every text", file: file,
        expected: "at most \(surroundingLimit)")
    }
  }

  private static func template(
    _ json: JSONValue, _ texts: [Int: [UInt8]], file: String
  ) throws(Fault) -> (prefix: [Int], suffix: [Int]) {
    guard case .array(let pieces)? = json["single"] else {
      throw Fault(.malformed, "has a template without pieces", file: file)
    }
    var sides: [[Int]] = [[]]
    var count = 0
    for piece in pieces {
      if piece["Sequence"] != nil {
        sides.append([])
        continue
      }
      guard case .string(let name)? = piece["SpecialToken"]?["id"],
        case .array(let found)? = json["special_tokens"]?[name]?["ids"]
      else {
        throw Fault(
          .malformed, "has a template with a piece that is no token", file: file,
          found: piece.text(indent: nil))
      }
      for id in found {
        guard case .integer(let id) = id, texts[id] != nil else {
          throw Fault(
            .malformed, "has a template with an id that is no token", file: file,
            found: id.text(indent: nil))
        }
        sides[sides.count - 1].append(id)
        count += 1
        try requireFew(count, file: file)
      }
    }
    guard sides.count == 2 else {
      throw Fault(
        .malformed, "has a template that is not for one text", file: file,
        expected: "one piece Sequence", found: "\(sides.count - 1)")
    }
    return (sides[0], sides[1])
  }
}

extension JSONValue {
  /// Whether this is a number that is zero, however it is written.
  fileprivate var isZero: Bool {
    if case .number(let value, _) = self { value == 0 } else { self == .integer(0) }
  }
}
