package import Platform
package import Tensors

/// The tokenizer of a GGUF file in Hugging Face's files: the reverse of
/// `TokenizerFiles.ggufMetadata`. It gives texts the ids that the file's keys give them.
package struct RebuiltTokenizer: Sendable {
  /// `tokenizer.json` and `tokenizer_config.json`; a chat template stands in the latter.
  package let files: TokenizerFiles
  /// What the keys do not keep, a line each.
  package let lost: [String]

  /// Reads the keys `tokenizer.*`.
  ///
  /// - Parameters:
  ///   - metadata: a file's metadata.
  ///   - contextLength: the longest text in tokens, for `tokenizer_config.json`.
  ///   - file: the file, for messages.
  /// - Throws: `.malformed` where it is no byte-level BPE tokenizer, has a pre-tokenizer that is not
  ///   known, or two tokens of one text, which `tokenizer.json` cannot hold.
  package init(_ metadata: Metadata, contextLength: Int, file: String) throws(Fault) {
    let listed = try GGUFVocabulary(metadata, file: file)
    var words = JSONObject()
    var added: [JSONValue] = []
    for (id, word) in listed.words.enumerated() {
      let kind = listed.kinds[id]
      if kind == .unused || word.isEmpty && kind != .normal { continue }
      guard words[word] == nil else {
        throw Fault(
          .malformed, "has a token twice, which tokenizer.json cannot hold", file: file, found: word
        )
      }
      // Added tokens stand in the vocabulary too: there they keep their ids, which they would
      // otherwise get anew, one after the other.
      words[word] = .integer(id)
      guard kind != .normal else { continue }
      added.append(
        .object([
          "id": .integer(id), "content": .string(word), "single_word": .bool(false),
          "lstrip": .bool(false), "rstrip": .bool(false), "normalized": .bool(false),
          "special": .bool(kind == .control),
        ]))
    }
    let special = SpecialTokenTexts(metadata, words: listed.words)
    let document: JSONObject = [
      "version": .string("1.0"), "truncation": .null, "padding": .null,
      "added_tokens": .array(added), "normalizer": .null,
      "pre_tokenizer": try Self.preTokenizer(metadata, file: file),
      "post_processor": try special.postProcessor(file: file),
      "decoder": Self.byteLevel(usesPattern: true),
      "model": .object([
        "type": .string("BPE"), "dropout": .null, "unk_token": .null,
        "continuing_subword_prefix": .null, "end_of_word_suffix": .null, "fuse_unk": .bool(false),
        "byte_fallback": .bool(false), "ignore_merges": .bool(false), "vocab": .object(words),
        "merges": .array(listed.pairs.map { .string("\($0.left) \($0.right)") }),
      ]),
    ]
    var settings = special.settings
    settings["chat_template"] = Self.templates(metadata)
    settings["clean_up_tokenization_spaces"] = .bool(false)
    settings["model_max_length"] = .integer(contextLength)
    settings["tokenizer_class"] = .string("PreTrainedTokenizerFast")
    files = TokenizerFiles(
      tokenizer: .object(document), settings: .object(settings.sorted), template: nil)
    lost =
      added.isEmpty
      ? []
      : [
        "what the \(added.count) added tokens ask of their surroundings (single_word, lstrip, "
          + "rstrip, normalized): a GGUF file does not keep it, and tokenizer.json asks nothing"
      ]
  }

  private static func preTokenizer(
    _ metadata: Metadata, file: String
  ) throws(Fault) -> JSONValue {
    let name = metadata["tokenizer.ggml.pre"]?.text ?? ""
    let splits = try TextSplitting.patterns(ggufName: name, file: file).map { pattern in
      JSONValue.object([
        "type": .string("Split"), "pattern": .object(["Regex": .string(pattern)]),
        "behavior": .string("Isolated"), "invert": .bool(false),
      ])
    }
    return .object([
      "type": .string("Sequence"),
      "pretokenizers": .array(splits + [byteLevel(usesPattern: false)]),
    ])
  }

  private static func byteLevel(usesPattern: Bool) -> JSONValue {
    .object([
      "type": .string("ByteLevel"), "add_prefix_space": .bool(false), "trim_offsets": .bool(true),
      "use_regex": .bool(usesPattern),
    ])
  }

  /// The chat template, or a list where there are several with names.
  private static func templates(_ metadata: Metadata) -> JSONValue? {
    let key = "tokenizer.chat_template"
    let usual = metadata[key]?.text
    let named = metadata["tokenizer.chat_templates"]?.array?.strings ?? []
    let rows = [("default", usual)] + named.map { ($0, metadata["\(key).\($0)"]?.text) }
    let present = rows.compactMap { name, text in text.map { (name, $0) } }
    guard present.count > 1 || usual == nil else { return usual.map { .string($0) } }
    return present.isEmpty
      ? nil
      : .array(
        present.map { .object(["name": .string($0.0), "template": .string($0.1)]) })
  }
}

/// Special tokens by their texts, and which of them surround every text.
private struct SpecialTokenTexts {
  /// Members of `tokenizer_config.json`.
  private(set) var settings = JSONObject()
  private var ids: [String: Int] = [:]
  private var surrounding: Set<String> = []

  init(_ metadata: Metadata, words: [String]) {
    for name in SpecialTokens.names {
      if case .bool(let isAdded)? = metadata["tokenizer.ggml.add_\(name)_token"] {
        settings["add_\(name)_token"] = .bool(isAdded)
        if isAdded { surrounding.insert(name) }
      }
      guard let id = GGUFVocabulary.specialID(name, metadata, count: words.count) else { continue }
      ids[name] = id
      settings["\(name)_token"] = .string(words[id])
    }
  }

  /// What puts the begin and end tokens around a text; null where neither is added.
  func postProcessor(file: String) throws(Fault) -> JSONValue {
    let (before, after) = (try token("bos", file: file), try token("eos", file: file))
    let tokens = [before, after].compactMap { $0 }
    guard !tokens.isEmpty else { return .null }
    var special = JSONObject()
    for (text, id) in tokens {
      special[text] = .object([
        "id": .string(text), "ids": .array([.integer(id)]), "tokens": .array([.string(text)]),
      ])
    }
    func piece(_ kind: String, _ name: String, _ type: Int) -> JSONValue {
      .object([kind: .object(["id": .string(name), "type_id": .integer(type)])])
    }
    func single(_ sequence: String, _ type: Int) -> [JSONValue] {
      [before.map { piece("SpecialToken", $0.text, type) }, piece("Sequence", sequence, type)]
        .compactMap { $0 } + (after.map { [piece("SpecialToken", $0.text, type)] } ?? [])
    }
    return .object([
      "type": .string("TemplateProcessing"), "single": .array(single("A", 0)),
      "pair": .array(single("A", 0) + single("B", 1)), "special_tokens": .object(special),
    ])
  }

  /// A token that is added to every text; nil where it is not.
  private func token(_ name: String, file: String) throws(Fault) -> (text: String, id: Int)? {
    guard surrounding.contains(name) else { return nil }
    guard let id = ids[name], case .string(let text)? = settings["\(name)_token"] else {
      throw Fault(
        .malformed, "adds a token that it does not have", file: file,
        expected: "tokenizer.ggml.\(name)_token_id")
    }
    return (text, id)
  }
}
