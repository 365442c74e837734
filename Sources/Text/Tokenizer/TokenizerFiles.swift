public import Platform

/// A model's tokenizer as Hugging Face stores it, in the three files that describe it.
public struct TokenizerFiles: Sendable {
  /// `tokenizer.json`
  public let tokenizer: JSONValue
  /// `tokenizer_config.json`, nil where there is none.
  public let settings: JSONValue?
  /// `chat_template.jinja`, nil where there is none.
  public let template: String?

  static let jsonName: ExactText = "tokenizer.json"
  static let settingsName: ExactText = "tokenizer_config.json"

  /// Largest `tokenizer.json` that is read, in bytes; DeepSeek-V3's has eight million.
  private static let tokenizerSize = 64 << 20
  /// Largest file beside it.
  private static let sizeLimit = 8 << 20

  /// Reads the files of a folder.
  ///
  /// - Returns: nil where there is no `tokenizer.json`.
  /// - Throws: `.malformed` where one of them is no JSON, no UTF-8, or a link out of the folder;
  ///   `.notFound` where one is no file.
  public static func read(in path: String) throws(Fault) -> TokenizerFiles? {
    let folder = try InputFolder(path: path)
    let name = jsonName
    guard let bytes = try folder.contents(of: name, limit: tokenizerSize) else { return nil }
    let tokenizer = try JSONValue(
      parsing: bytes, file: folder.place(of: name), limits: .tokenizer)
    return try TokenizerFiles(tokenizer, beside: folder)
  }

  /// Reads what lies beside the vocabulary.
  init(_ tokenizer: JSONValue, beside folder: InputFolder) throws(Fault) {
    self.tokenizer = tokenizer
    settings = try Self.json(Self.settingsName, in: folder, LongIntegers.withExponents)
    template = try Self.text("chat_template.jinja", in: folder)
  }

  /// Wraps documents.
  public init(tokenizer: JSONValue, settings: JSONValue?, template: String?) {
    self.tokenizer = tokenizer
    self.settings = settings
    self.template = template
  }

  /// The largest id, and the text of an added token that has it.
  var largestID: (id: Int, text: String?)? {
    var largest: (id: Int, text: String?)?
    if case .object(let vocabulary)? = tokenizer["model"]?["vocab"] {
      for key in vocabulary.keys {
        if case .integer(let id)? = vocabulary[key], id > largest?.id ?? -1 { largest = (id, nil) }
      }
    }
    if case .array(let added)? = tokenizer["added_tokens"] {
      for token in added {
        guard case .integer(let id)? = token["id"], id >= largest?.id ?? -1 else { continue }
        if case .string(let text)? = token["content"] { largest = (id, text) }
      }
    }
    return largest
  }

  /// The template for chats as transformers chooses it: a file of its own comes first, and of named
  /// ones the one called `default`.
  public var chatTemplate: String? {
    if let template { return template }
    switch settings?["chat_template"] {
    case .string(let text)?: return text
    case .array(let choices)?:
      for choice in choices where choice["name"] == .string("default") {
        if case .string(let text)? = choice["template"] { return text }
      }
      return nil
    default: return nil
    }
  }

  /// Texts of the special tokens that `tokenizer_config.json` names: `bos_token` and so on.
  var specialTexts: [String: String] {
    var texts: [String: String] = [:]
    for name in SpecialTokens.names {
      texts["\(name)_token"] = SpecialTokens.text(of: settings?["\(name)_token"])
    }
    return texts
  }

  /// A small JSON document beside a model; nil where there is none.
  ///
  /// - Throws: as `read(in:)`.
  public static func json(_ name: ExactText, in path: String) throws(Fault) -> JSONValue? {
    try json(name, in: InputFolder(path: path))
  }

  private static func json(
    _ name: ExactText, in folder: InputFolder, _ change: ([UInt8]) -> [UInt8] = { $0 }
  ) throws(Fault) -> JSONValue? {
    guard let bytes = try folder.contents(of: name, limit: sizeLimit) else { return nil }
    return try JSONValue(parsing: change(bytes), file: folder.place(of: name), limits: .document)
  }

  private static func text(_ name: ExactText, in folder: InputFolder) throws(Fault) -> String? {
    guard let bytes = try folder.contents(of: name, limit: sizeLimit) else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Fault(.malformed, "is not UTF-8", file: folder.place(of: name))
    }
    return text
  }
}
