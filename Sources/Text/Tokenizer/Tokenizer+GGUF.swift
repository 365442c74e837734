package import Platform
package import Tensors

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
  package init(metadata: Metadata, file: String) throws(Fault) {
    self.file = file
    let listed = try GGUFVocabulary(metadata, file: file)
    let words = listed.words
    var vocabulary: [ExactText: Int] = [:]
    var texts: [Int: [UInt8]] = [:]
    var tokens: [AddedTokens.Token] = []
    vocabulary.reserveCapacity(words.count)
    texts.reserveCapacity(words.count)
    for (id, word) in words.enumerated() {
      switch listed.kinds[id] {
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
    // Merges may make a token that is listed as an added one too.
    for token in tokens {
      let text = ExactText(String(decoding: token.text, as: UTF8.self))
      if vocabulary[text] == nil { vocabulary[text] = token.id }
    }
    let splitter = metadata["tokenizer.ggml.pre"]?.text ?? ""
    // The keys have a name for Kimi's tokenizer, and no place for what else its code does.
    let isKimi = splitter == TextSplitting.kimi
    self.pairs = try BytePairs(
      vocabulary: vocabulary, pairs: listed.pairs,
      keepsWords: isKimi || TextSplitting.keepingWords.contains(splitter), file: file)
    self.texts = texts
    added = try AddedTokens(tokens, file: file)
    splitting = try TextSplitting(ggufName: splitter, file: file)
    runs = isKimi ? .kimi : nil
    prefix = try Tokenizer.surrounding("bos", metadata, texts, file: file)
    suffix = try Tokenizer.surrounding("eos", metadata, texts, file: file)
    chatTemplate = metadata["tokenizer.chat_template"]?.text
    templateFile = file
    var special: [String: String] = [:]
    for name in SpecialTokens.names {
      guard let id = GGUFVocabulary.specialID(name, metadata, count: words.count) else { continue }
      special["\(name)_token"] = words[id]
    }
    specialTexts = special
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
