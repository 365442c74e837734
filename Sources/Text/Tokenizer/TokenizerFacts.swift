package import Platform
package import Tensors

/// What a reader wants to know of a tokenizer without making one: its kind and size, its special
/// tokens, whether there is a chat template.
package struct TokenizerFacts: Sendable, Hashable {
  /// A special token.
  package struct Special: Sendable, Hashable {
    /// `bos`, `eos` and so on.
    package let name: String
    /// Its id; nil where only its text is known.
    package let id: Int?
    /// Its text; nil where only its id is known.
    package let text: String?
  }

  /// What the file calls the kind: `BPE` of `tokenizer.json`, `gpt2` of a GGUF file, `tiktoken`.
  package private(set) var kind: String
  /// Tokens with an id; nil where that takes more than a look at names.
  package private(set) var tokens: Int?
  /// Those of them that are added ones; nil where nothing tells.
  package private(set) var added: Int?
  /// Pairs of tokens that are merged; nil where there is no list of them.
  package private(set) var merges: Int?
  /// The special tokens that are named.
  package private(set) var special: [Special] = []
  /// Whether there is a chat template.
  package private(set) var hasTemplate: Bool

  /// Looks at the keys of a GGUF file; nil where they tell of no tokenizer.
  package init?(_ metadata: Metadata) {
    guard let model = metadata["tokenizer.ggml.model"]?.text else { return nil }
    kind = model
    let words = metadata["tokenizer.ggml.tokens"]?.array
    tokens = words?.count
    if let kinds = metadata["tokenizer.ggml.token_type"]?.array?.integers {
      // Control and user-defined.
      added = kinds.count { $0 == 3 || $0 == 4 }
    }
    merges = metadata["tokenizer.ggml.merges"]?.array?.count
    hasTemplate = metadata["tokenizer.chat_template"]?.text != nil
    let names = SpecialTokens.names + ["eot", "eom"]
    special = names.compactMap { name in
      guard let key = TokenizerFiles.idKeys[name],
        let id = metadata["tokenizer.ggml.\(key)"]?.integer
      else { return nil }
      let texts = words?.strings ?? []
      return Special(name: name, id: id, text: texts.indices.contains(id) ? texts[id] : nil)
    }
  }

  /// Looks at the files of a folder: over the vocabulary with a cursor alone, of which no tree is made.
  ///
  /// - Returns: nil where there is none.
  /// - Throws: what reading the files throws.
  package static func read(in path: String) throws(Fault) -> TokenizerFacts? {
    let folder = try InputFolder(path: path)
    if let file = try folder.find(TokenizerFiles.jsonName) {
      let bytes = try file.contents(limit: TokenizerFiles.tokenizerSize)
      var facts = TokenizerFacts(kind: "unknown")
      let ids = try JSONCursor.read(bytes) { cursor throws(Fault) in
        try facts.readTokenizer(&cursor)
      }
      try facts.readNeighbours(TokenizerFiles(.null, beside: folder), ids: ids)
      return facts
    }
    guard try folder.find(KimiTokenizerFiles.fileName) != nil else { return nil }
    var facts = TokenizerFacts(kind: "tiktoken")
    try facts.readNeighbours(TokenizerFiles(.null, beside: folder), ids: [:])
    return facts
  }

  private init(kind: String) {
    self.kind = kind
    hasTemplate = false
  }

  /// Walks over `tokenizer.json`; returns the ids of added tokens by their texts.
  private mutating func readTokenizer(_ cursor: inout JSONCursor) throws(Fault) -> [ExactText: Int]
  {
    var ids: [ExactText: Int] = [:]
    var (words, beyond) = (0, 0)
    try cursor.members { key, cursor throws(Fault) in
      switch key {
      case "added_tokens":
        try cursor.elements { cursor throws(Fault) in
          var (id, text): (Int?, String?) = (nil, nil)
          try cursor.members { key, cursor throws(Fault) in
            switch key {
            case "id": id = try cursor.wholeNumber()
            case "content": text = try cursor.string(nulAllowed: true)
            default: try cursor.skipValue()
            }
          }
          if let id, let text { ids[ExactText(text)] = id }
        }
      case "model":
        try cursor.members { key, cursor throws(Fault) in
          switch key {
          case "type": kind = try cursor.string()
          case "vocab": words = try TokenizerFacts.count(&cursor)
          case "merges": merges = try TokenizerFacts.count(&cursor)
          default: try cursor.skipValue()
          }
        }
      default: try cursor.skipValue()
      }
    }
    // Added tokens may stand in the vocabulary, too: only those behind it are more.
    beyond = ids.values.count { $0 >= words }
    tokens = words + beyond
    added = ids.count
    return ids
  }

  /// Members of an object, or elements of an array.
  private static func count(_ cursor: inout JSONCursor) throws(Fault) -> Int {
    var count = 0
    cursor.skipSpace()
    guard cursor.peek == UInt8(ascii: "{") else {
      try cursor.elements { cursor throws(Fault) in
        try cursor.skipValue()
        count += 1
      }
      return count
    }
    try cursor.members { _, cursor throws(Fault) in
      try cursor.skipValue()
      count += 1
    }
    return count
  }

  /// `tokenizer_config.json` and the template.
  private mutating func readNeighbours(_ files: TokenizerFiles, ids: [ExactText: Int]) {
    hasTemplate = files.chatTemplate != nil
    let texts = files.specialTexts
    special = SpecialTokens.names.compactMap { name in
      texts["\(name)_token"].map { Special(name: name, id: ids[ExactText($0)], text: $0) }
    }
  }
}

extension TokenizerFacts {
  /// In a line: `BPE of 129,280 tokens (818 added); bos 0, eos 1; chat template`.
  ///
  /// - Parameter count: shows a number.
  package func text(count: (Int) -> String) -> String {
    let size = tokens.map { " of \(count($0)) tokens" } ?? ""
    let further = added.map { $0 > 0 && tokens != nil ? " (\(count($0)) added)" : "" } ?? ""
    let named = special.map { "\($0.name) \($0.id.map(String.init) ?? $0.text ?? "?")" }
    return kind + size + further + "; "
      + (named.isEmpty ? "no special tokens named" : named.joined(separator: ", "))
      + (hasTemplate ? "; chat template" : "; no chat template")
  }

  /// For the JSON.
  package var json: JSONValue {
    func number(_ value: Int?) -> JSONValue { value.map { .integer($0) } ?? .null }
    return .object([
      "kind": .string(kind), "tokens": number(tokens), "added": number(added),
      "merges": number(merges), "chatTemplate": .bool(hasTemplate),
      "special": .array(
        special.map {
          .object([
            "name": .string($0.name), "id": number($0.id),
            "text": $0.text.map { .string($0) } ?? .null,
          ])
        }),
    ])
  }
}
