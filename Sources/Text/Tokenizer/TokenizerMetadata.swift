package import Platform
package import Tensors

extension TokenizerFiles {
  /// Keys of special tokens, as llama.cpp spells them; those that are missing have none.
  package static let idKeys = [
    "bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id",
    "sep": "seperator_token_id", "pad": "padding_token_id", "mask": "mask_token_id",
    "eot": "eot_token_id", "eom": "eom_token_id",
  ]
  private static let additionKeys = [
    "bos": "add_bos_token", "eos": "add_eos_token", "sep": "add_sep_token",
  ]

  /// The tokenizer as llama.cpp's converter writes it into a GGUF file.
  ///
  /// - Parameters:
  ///   - config: `config.json`; it names the ids of special tokens as well.
  ///   - named: special tokens that are found by their texts, where the tokenizer has them.
  ///   - splitter: llama.cpp's name for what splits a text before byte-pair encoding.
  ///   - vocabSize: rows of the embedding table.
  ///   - folder: where the files are, for messages.
  /// - Throws: `.malformed` where the tokenizer is no byte-level BPE, or larger than the model.
  package func ggufMetadata(
    config: JSONValue, splitter: String = "deepseek-v3", named: [String: String] = [:],
    vocabSize: Int, folder: String
  ) throws(Fault) -> Metadata {
    let file = Folder.join(folder, "tokenizer.json")
    let vocabulary = try Vocabulary(self, size: vocabSize, file: file)
    var metadata = Metadata()
    metadata["tokenizer.ggml.model"] = .string("gpt2")
    metadata["tokenizer.ggml.pre"] = .string(splitter)
    metadata["tokenizer.ggml.tokens"] = .array(MetadataArray(.strings(vocabulary.tokens)))
    metadata["tokenizer.ggml.token_type"] = .array(
      MetadataArray(int32: vocabulary.kinds.map(\.rawValue)))
    let merges = try merges(file: file)
    if !merges.isEmpty {
      metadata["tokenizer.ggml.merges"] = .array(MetadataArray(.strings(merges)))
    }
    let special = SpecialTokens(self, addedIDs: vocabulary.addedIDs, config: config)
    add(special, named: named, among: vocabulary.addedIDs, to: &metadata)
    return metadata
  }

  /// The special tokens and the chat template, which stand behind the vocabulary.
  ///
  /// - Parameter named: special tokens that are found by their texts, by name; they count before others.
  func add(
    _ special: SpecialTokens, named: [String: String] = [:], among addedIDs: [String: Int] = [:],
    to metadata: inout Metadata
  ) {
    let own = named.compactMap { name, text in addedIDs[text].map { (name, $0) } }
    let found = Dictionary(uniqueKeysWithValues: own)
    let ids =
      special.ids.map { ($0.name, found[$0.name] ?? $0.id) }
      + ["eot", "unk", "bos", "eom"].compactMap { name in
        special.ids.contains { $0.name == name } ? nil : found[name].map { (name, $0) }
      }
    for (name, id) in ids {
      guard let key = Self.idKeys[name] else { continue }
      metadata["tokenizer.ggml.\(key)"] = .uint32(UInt32(clamping: id))
    }
    for (name, isAdded) in special.additions {
      guard let key = Self.additionKeys[name] else { continue }
      metadata["tokenizer.ggml.\(key)"] = .bool(isAdded)
    }
    addTemplates(to: &metadata)
  }

  /// The first of llama.cpp's names for splittings that cut a text with much in it as `tokenizer.json`
  /// does; nil where none does.
  package func splitterName(among names: [String]) -> String? {
    (try? TextSplitting(json: tokenizer["pre_tokenizer"], file: "tokenizer.json")).flatMap {
      TextSplitting.ggufName(of: $0, among: names)
    }
  }

  /// Pairs that are merged, in order; spaces within a part are written as the alphabet writes them.
  private func merges(file: String) throws(Fault) -> [String] {
    try mergePairs(file: file).map {
      Self.withoutSpaces($0.left) + " " + Self.withoutSpaces($0.right)
    }
  }

  /// Pairs that are merged, in order, from either way to write them.
  func mergePairs(file: String) throws(Fault) -> [(left: String, right: String)] {
    guard case .array(let entries)? = tokenizer["model"]?["merges"] else { return [] }
    var pairs: [(left: String, right: String)] = []
    pairs.reserveCapacity(entries.count)
    for entry in entries {
      switch entry {
      case .string(let text): pairs.append(try Self.pair(text, file: file))
      case .array(let pair):
        guard pair.count == 2, case .string(let one) = pair[0], case .string(let other) = pair[1]
        else { throw Fault(.malformed, "has a merge that is no pair", file: file) }
        pairs.append((one, other))
      default: throw Fault(.malformed, "has a merge that is no pair", file: file)
      }
    }
    return pairs
  }

  /// The two parts of a merge that is written as one text.
  static func pair(_ text: String, file: String) throws(Fault) -> (left: String, right: String) {
    let parts = text.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      throw Fault(.malformed, "has a merge that is no pair", file: file, found: text)
    }
    return (String(parts[0]), String(parts[1]))
  }

  private static func withoutSpaces(_ text: String) -> String {
    text.replacing(" ", with: ByteLevelAlphabet.space)
  }

  /// The chat template, or the named ones of a list.
  private func addTemplates(to metadata: inout Metadata) {
    let key = "tokenizer.chat_template"
    switch settings?["chat_template"] {
    case .string(let text)?: if !text.isEmpty { metadata[key] = .string(text) }
    case .array(let choices)?:
      var named: [String: String] = [:]
      for choice in choices {
        guard case .string(let name)? = choice["name"], !name.isEmpty,
          case .string(let text)? = choice["template"], !text.isEmpty
        else { continue }
        named[Self.plain(name)] = text
      }
      let usual = named.removeValue(forKey: "default")
      for (name, text) in named.sorted(by: { $0.key < $1.key }) {
        metadata["\(key).\(name)"] = .string(text)
      }
      if !named.isEmpty {
        metadata["tokenizer.chat_templates"] = .array(
          MetadataArray(.strings(named.keys.sorted())))
      }
      metadata[key] = usual.map { .string($0) }
    default:
      if let template, !template.isEmpty { metadata[key] = .string(template) }
    }
  }

  private static func plain(_ name: String) -> String {
    String(
      name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
  }
}
