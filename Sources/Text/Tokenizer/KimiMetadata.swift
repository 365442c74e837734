package import Platform
package import Tensors

extension KimiTokenizerFiles {
  /// The tokenizer as llama.cpp's converter writes it into a GGUF file
  /// (`conversion/deepseek.py`, `DeepseekV2Model.set_vocab`).
  ///
  /// Special tokens are those that `config.json` gives ids for. Where it gives none for the begin or
  /// end token, `tokenizer_config.json` does, in which the converter does not look: llama.cpp would
  /// take 11 for both.
  ///
  /// - Parameters:
  ///   - config: `config.json`.
  ///   - vocabSize: rows of the embedding table; special tokens beyond it are left out.
  /// - Throws: `.malformed` where there are more tokens than rows.
  package func ggufMetadata(config: JSONValue, vocabSize: Int) throws(Fault) -> Metadata {
    guard vocabulary.tokens.count <= vocabSize else {
      throw Fault(
        .malformed, "has ids outside the model's vocabulary", file: file,
        expected: "at most \(vocabSize - 1)", found: "\(vocabulary.tokens.count - 1)")
    }
    var texts = vocabulary.tokens.map(ByteLevelAlphabet.text)
    var kinds = [Vocabulary.Kind](repeating: .normal, count: texts.count)
    let merges = merges(texts)
    // The converter sorts by texts: a token that reads like a special one gives way to it.
    let taken = Set(special.map { ExactText($0.text) })
    for rank in texts.indices where taken.contains(ExactText(texts[rank])) {
      texts[rank] = "[PAD\(rank)]"
      kinds[rank] = .unused
    }
    for token in special where token.id < vocabSize {
      pad(&texts, &kinds, to: token.id)
      texts.append(token.text)
      kinds.append(.control)
    }
    pad(&texts, &kinds, to: vocabSize)
    var metadata = Metadata()
    metadata["tokenizer.ggml.model"] = .string("gpt2")
    metadata["tokenizer.ggml.pre"] = .string(TextSplitting.kimi)
    metadata["tokenizer.ggml.tokens"] = .array(MetadataArray(.strings(texts)))
    metadata["tokenizer.ggml.token_type"] = .array(MetadataArray(int32: kinds.map(\.rawValue)))
    if !merges.isEmpty {
      metadata["tokenizer.ggml.merges"] = .array(MetadataArray(.strings(merges)))
    }
    surroundings.add(specialTokens(config), to: &metadata)
    return metadata
  }

  private func pad(_ texts: inout [String], _ kinds: inout [Vocabulary.Kind], to count: Int) {
    while texts.count < count {
      texts.append("[PAD\(texts.count)]")
      kinds.append(.unused)
    }
  }

  /// The pairs that tokens are made of: what merges of lower ranks leave of a token's bytes, where
  /// that are two parts. They stand in the order of the file's lines.
  private func merges(_ texts: [String]) -> [String] {
    var encoder = BytePairEncoder(BytePairs(vocabulary))
    var merges: [String] = []
    for rank in vocabulary.order where vocabulary.tokens[Int(rank)].count > 1 {
      let parts = encoder.parts(of: vocabulary.tokens[Int(rank)], below: rank)
      guard parts.count == 2 else { continue }
      merges.append(texts[Int(parts[0])] + " " + texts[Int(parts[1])])
    }
    return merges
  }

  private func specialTokens(_ config: JSONValue) -> SpecialTokens {
    var tokens = SpecialTokens(surroundings, addedIDs: [:], config: config)
    for name in ["bos", "eos"] {
      let text = SpecialTokens.text(of: surroundings.settings?["\(name)_token"])
      guard let token = special.first(where: { $0.text == text }) else { continue }
      tokens.addID(token.id, for: name)
    }
    return tokens
  }
}
