public import Platform
public import Tensors

extension Tokenizer {
  /// Builds the tokenizer that a GGUF file's keys `tokenizer.*` describe.
  ///
  /// Tokens of the kinds control and user-defined are added tokens; a GGUF file does not keep what
  /// they ask of their surroundings. The keys say whether the begin and end tokens are added, and
  /// nothing is added where they say nothing.
  ///
  /// - Parameters:
  ///   - metadata: the file's metadata.
  ///   - file: the file, for messages.
  /// - Throws: `.malformed` where it is no byte-level BPE tokenizer, has a pre-tokenizer that is not
  ///   known, or contradicts itself.
  public init(metadata: Metadata, file: String) throws(Fault) {
    self.file = file
    guard let model = metadata["tokenizer.ggml.model"]?.text, model == "gpt2" else {
      throw Fault(
        .malformed, "has no byte-level BPE tokenizer", file: file,
        expected: "tokenizer.ggml.model gpt2", found: metadata["tokenizer.ggml.model"]?.text)
    }
    guard let words = metadata["tokenizer.ggml.tokens"]?.array?.strings else {
      throw Fault(.malformed, "has no tokenizer.ggml.tokens", file: file)
    }
    let kinds = try Tokenizer.kinds(metadata, count: words.count, file: file)
    var vocabulary: [ExactText: Int] = [:]
    var texts: [Int: [UInt8]] = [:]
    var tokens: [AddedTokens.Token] = []
    vocabulary.reserveCapacity(words.count)
    texts.reserveCapacity(words.count)
    for (id, word) in words.enumerated() {
      switch kinds[id] {
      case .unused: continue
      case .control, .userDefined:
        guard !word.isEmpty else { continue }
        texts[id] = Array(word.utf8)
        tokens.append(AddedTokens.Token(text: Array(word.utf8), id: id))
      case .normal:
        texts[id] = ByteLevelAlphabet.bytes(of: word) ?? Array(word.utf8)
        guard vocabulary.updateValue(id, forKey: ExactText(word)) == nil else {
          throw Fault(.malformed, "has a token twice", file: file, found: word)
        }
      }
    }
    let pairs = try Tokenizer.mergePairs(metadata, file: file)
    // Merges may make a token that is listed as an added one too.
    for token in tokens {
      let text = ExactText(String(decoding: token.text, as: UTF8.self))
      if vocabulary[text] == nil { vocabulary[text] = token.id }
    }
    self.pairs = try BytePairs(
      vocabulary: vocabulary, pairs: pairs, keepsWords: false, file: file)
    self.texts = texts
    added = try AddedTokens(tokens, file: file)
    splitting = try TextSplitting(
      ggufName: metadata["tokenizer.ggml.pre"]?.text ?? "", file: file)
    prefix = try Tokenizer.surrounding("bos", metadata, texts, file: file)
    suffix = try Tokenizer.surrounding("eos", metadata, texts, file: file)
    chatTemplate = metadata["tokenizer.chat_template"]?.text
    var special: [String: String] = [:]
    for (name, key) in TokenizerFiles.idKeys {
      guard let id = metadata["tokenizer.ggml.\(key)"]?.integer, words.indices.contains(id) else {
        continue
      }
      special["\(name)_token"] = words[id]
    }
    specialTexts = special
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

  private static func mergePairs(
    _ metadata: Metadata, file: String
  ) throws(Fault) -> [(left: String, right: String)] {
    guard let value = metadata["tokenizer.ggml.merges"] else { return [] }
    guard let merges = value.array?.strings else {
      throw Fault(.malformed, "has tokenizer.ggml.merges that are no texts", file: file)
    }
    var pairs: [(left: String, right: String)] = []
    pairs.reserveCapacity(merges.count)
    for merge in merges { pairs.append(try TokenizerFiles.pair(merge, file: file)) }
    return pairs
  }

  /// The begin or end token, if it is to be added.
  private static func surrounding(
    _ name: String, _ metadata: Metadata, _ texts: [Int: [UInt8]], file: String
  ) throws(Fault) -> [Int] {
    guard metadata["tokenizer.ggml.add_\(name)_token"] == .bool(true) else { return [] }
    guard let id = metadata["tokenizer.ggml.\(name)_token_id"]?.integer, texts[id] != nil else {
      throw Fault(
        .malformed, "adds a token that it does not have", file: file,
        expected: "tokenizer.ggml.\(name)_token_id",
        found: metadata["tokenizer.ggml.\(name)_token_id"]?.integer.map { "\($0)" })
    }
    return [id]
  }
}
