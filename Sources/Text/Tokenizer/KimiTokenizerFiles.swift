package import Platform

/// The tokenizer of Kimi-K2, Kimi-K2.5 and Moonlight, which come without `tokenizer.json`: the ranks
/// of `tiktoken.model`, special tokens from `tokenizer_config.json`, and what Python code beside them
/// (`tokenization_kimi.py`, `tokenization_moonshot.py`) does with both, which Fathom does itself and
/// never runs.
///
/// Sources: that code as published with Kimi-K2, Kimi-K2.5 and Moonlight, which agree but for two
/// ids, and tiktoken 0.14, which it calls.
package struct KimiTokenizerFiles: Sendable {
  /// A special token.
  struct Special: Sendable {
    let id: Int
    let text: String
  }

  /// The vocabulary.
  let vocabulary: TiktokenRanks
  /// The special tokens in the order of their ids, which follow on the ranks.
  let special: [Special]
  /// `tokenizer_config.json` and the chat template.
  let surroundings: TokenizerFiles
  /// The path of `tiktoken.model`, for messages.
  let file: String

  static let fileName: ExactText = "tiktoken.model"
  /// `num_reserved_special_tokens`: ids behind the ranks that have a token whether it is named or not.
  private static let reservedCount = 256
  /// Moonlight's code has two further ones, which no model has rows for.
  private static let furtherCount = 2

  /// Reads the files of a folder.
  ///
  /// - Returns: nil where there is no `tiktoken.model`.
  /// - Throws: `.malformed` where one of them breaks its format, is a link out of the folder, or says
  ///   what Kimi's code does not do.
  package static func read(in path: String) throws(Fault) -> KimiTokenizerFiles? {
    let folder = try InputFolder(path: path)
    guard let file = try folder.find(fileName) else { return nil }
    return try file.parsed(as: .text) { () throws(Fault) in
      try KimiTokenizerFiles(
        ranks: file.contents(limit: TiktokenRanks.sizeLimit),
        surroundings: TokenizerFiles(.null, beside: folder), folder: path)
    }
  }

  /// Takes the contents of the files.
  ///
  /// - Parameters:
  ///   - ranks: the bytes of `tiktoken.model`.
  ///   - settings: `tokenizer_config.json`.
  ///   - template: `chat_template.jinja`, nil where there is none.
  ///   - folder: where the files are, for messages.
  /// - Throws: as `read(in:)`.
  package init(
    ranks: [UInt8], settings: JSONValue?, template: String?, folder: String
  ) throws(Fault) {
    try self.init(
      ranks: ranks,
      surroundings: TokenizerFiles(tokenizer: .null, settings: settings, template: template),
      folder: folder)
  }

  private init(
    ranks: [UInt8], surroundings: TokenizerFiles, folder: String
  ) throws(Fault) {
    file = Folder.join(folder, Self.fileName)
    let settingsFile = Folder.join(folder, TokenizerFiles.settingsName)
    guard let settings = surroundings.settings else {
      var fault = Fault(
        .notFound, "is not there, and tiktoken.model does not say what its special tokens are",
        file: settingsFile)
      fault.advice = "copy it from where the model was published"
      throw fault
    }
    try Self.requireKimi(settings, file: settingsFile)
    vocabulary = try TiktokenRanks(ranks, file: file)
    special = try Self.special(
      settings, from: vocabulary.tokens.count, file: settingsFile)
    self.surroundings = surroundings
  }

  /// Other models have files of this name as well; what splits their texts is in other code.
  private static func requireKimi(_ settings: JSONValue, file: String) throws(Fault) {
    let name = settings["tokenizer_class"]
    guard let name, name != .null, name != .string("TikTokenTokenizer") else { return }
    throw Fault(
      .malformed, "is for a tokenizer of tiktoken.model that is not Kimi's", file: file,
      expected: "tokenizer_class \"TikTokenTokenizer\"", found: name.text(indent: nil))
  }

  /// Special tokens by `added_tokens_decoder`; ids that it does not name are reserved.
  private static func special(
    _ settings: JSONValue, from first: Int, file: String
  ) throws(Fault) -> [Special] {
    guard case .object(let named)? = settings["added_tokens_decoder"] else {
      throw Fault(
        .malformed, "does not say what the special tokens of tiktoken.model are", file: file,
        expected: "an object added_tokens_decoder")
    }
    var texts: [Int: String] = [:]
    let ids = first..<(first + reservedCount + furtherCount)
    for key in named.keys {
      guard let id = Int(key), ids.contains(id), String(id) == key else {
        throw Fault(
          .malformed, "names a special token that Kimi's code does not have", file: file,
          expected: "an id from \(first), the number of ranks, to \(ids.upperBound - 1)",
          found: key)
      }
      guard case .string(let text)? = named[key]?["content"], !text.isEmpty else {
        throw Fault(
          .malformed, "has a special token without content", file: file, found: key)
      }
      texts[id] = text
    }
    var seen: Set<ExactText> = []
    var special: [Special] = []
    for id in ids where id < first + reservedCount || texts[id] != nil {
      let text = texts[id] ?? "<|reserved_token_\(id)|>"
      guard seen.insert(ExactText(text)).inserted else {
        throw Fault(.malformed, "has a special token twice", file: file, found: text)
      }
      special.append(Special(id: id, text: text))
    }
    return special
  }
}

extension Tokenizer {
  /// Builds the tokenizer that Kimi's code makes of its files.
  ///
  /// Ids are those of its `encode` for a text alone, which finds special tokens in it and adds none.
  /// transformers calls it otherwise, once for each part between the special tokens that are named:
  /// the ids are the same but for runs of 25,000 characters and more.
  ///
  /// - Throws: `.malformed` for special tokens that are too long.
  package init(_ files: KimiTokenizerFiles) throws(Fault) {
    file = files.file
    pairs = BytePairs(files.vocabulary)
    added = try AddedTokens(
      files.special.map { AddedTokens.Token(text: Array($0.text.utf8), id: $0.id) }, file: file)
    splitting = try TextSplitting(ggufName: TextSplitting.kimi, file: file)
    runs = .kimi
    var texts = Dictionary(
      uniqueKeysWithValues: files.vocabulary.tokens.enumerated().map { ($0, $1) })
    for token in files.special { texts[token.id] = Array(token.text.utf8) }
    self.texts = texts
    prefix = []
    suffix = []
    chatTemplate = files.surroundings.chatTemplate
    templateFile = Folder.join(Folder.parent(of: files.file), files.surroundings.templateName)
    specialTexts = files.surroundings.specialTexts
  }
}
