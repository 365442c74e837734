internal import Platform
internal import Tensors

/// Tokens and merges as a GGUF file's keys `tokenizer.ggml.*` list them.
struct GGUFVocabulary {
  /// Texts of the tokens by their ids: in the alphabet of `ByteLevelAlphabet` where they are
  /// normal, plain where they are added ones.
  let words: [String]
  /// Their kinds.
  let kinds: [Vocabulary.Kind]
  /// What is merged, in order.
  let pairs: [(left: String, right: String)]

  /// Tokens, and merges, that are read: four times those of the largest vocabularies. A header has
  /// room for more, and each takes a hundred bytes.
  private static let limit = 1 << 20

  /// Reads the keys.
  ///
  /// - Throws: `.malformed` where it is no byte-level BPE tokenizer, or contradicts itself.
  init(_ metadata: Metadata, file: String) throws(Fault) {
    guard let model = metadata["tokenizer.ggml.model"]?.text, model == "gpt2" else {
      throw Fault(
        .malformed, "has no byte-level BPE tokenizer", file: file,
        expected: "tokenizer.ggml.model gpt2", found: metadata["tokenizer.ggml.model"]?.text)
    }
    guard let words = metadata["tokenizer.ggml.tokens"]?.array?.strings else {
      throw Fault(.malformed, "has no tokenizer.ggml.tokens", file: file)
    }
    try Self.requireFew(words.count, "tokens", file: file)
    self.words = words
    kinds = try Self.kinds(metadata, count: words.count, file: file)
    pairs = try Self.pairs(metadata, file: file)
  }

  /// The id of a special token, by its name in `SpecialTokens.names`; nil where the file names
  /// none, or none that it has.
  static func specialID(_ name: String, _ metadata: Metadata, count: Int) -> Int? {
    guard let key = TokenizerFiles.idKeys[name],
      let id = metadata["tokenizer.ggml.\(key)"]?.integer, (0..<count).contains(id)
    else { return nil }
    return id
  }

  private static func requireFew(_ count: Int, _ what: String, file: String) throws(Fault) {
    guard count <= limit else {
      throw Fault(
        .malformed, "has too many \(what)", file: file, expected: "at most \(limit)",
        found: "\(count)")
    }
  }

  private static func kinds(
    _ metadata: Metadata, count: Int, file: String
  ) throws(Fault) -> [Vocabulary.Kind] {
    guard let value = metadata["tokenizer.ggml.token_type"] else {
      return [Vocabulary.Kind](repeating: .normal, count: count)
    }
    guard let numbers = value.array?.integers, numbers.count == count else {
      throw Fault(
        .malformed, "has tokenizer.ggml.token_type for other tokens than it has", file: file,
        expected: "\(count) numbers", found: value.array.map { "\($0.count)" } ?? "no list")
    }
    var kinds: [Vocabulary.Kind] = []
    kinds.reserveCapacity(count)
    for number in numbers {
      guard let kind = Int32(exactly: number).flatMap(Vocabulary.Kind.init) else {
        throw Fault(
          .malformed, "has a tokenizer.ggml.token_type that is not supported", file: file,
          expected: "1 (normal), 3 (control), 4 (user-defined) or 5 (unused)", found: "\(number)")
      }
      kinds.append(kind)
    }
    return kinds
  }

  private static func pairs(
    _ metadata: Metadata, file: String
  ) throws(Fault) -> [(left: String, right: String)] {
    guard let value = metadata["tokenizer.ggml.merges"] else { return [] }
    guard let merges = value.array?.strings else {
      throw Fault(.malformed, "has tokenizer.ggml.merges that are no texts", file: file)
    }
    try requireFew(merges.count, "merges", file: file)
    var pairs: [(left: String, right: String)] = []
    pairs.reserveCapacity(merges.count)
    for merge in merges { pairs.append(try TokenizerFiles.pair(merge, file: file)) }
    return pairs
  }
}
