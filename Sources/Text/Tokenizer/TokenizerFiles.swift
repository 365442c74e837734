package import Platform

/// A model's tokenizer as Hugging Face stores it, in the three files that describe it.
package struct TokenizerFiles: Sendable {
  /// `tokenizer.json`
  package let tokenizer: JSONValue
  /// `tokenizer_config.json`, nil where there is none.
  package let settings: JSONValue?
  /// `chat_template.jinja`, nil where there is none.
  package let template: String?

  static let jsonName: ExactText = "tokenizer.json"
  static let settingsName: ExactText = "tokenizer_config.json"
  private static let templateFile: ExactText = "chat_template.jinja"

  /// Largest `tokenizer.json` that is read, in bytes; DeepSeek-V3's has eight million.
  static let tokenizerSize = 64 << 20
  /// Largest file beside it.
  private static let sizeLimit = 8 << 20

  /// Reads the files of a folder.
  ///
  /// - Returns: nil where there is no `tokenizer.json`.
  /// - Throws: `.malformed` where one of them is no JSON, no UTF-8, or a link out of the folder;
  ///   `.notFound` where one is no file.
  package static func read(in path: String) throws(Fault) -> TokenizerFiles? {
    let folder = try InputFolder(path: path)
    let name = jsonName
    guard let file = try folder.find(name) else { return nil }
    let tokenizer = try json(file, size: tokenizerSize, limits: .tokenizer)
    return try TokenizerFiles(tokenizer, beside: folder)
  }

  /// Reads what lies beside the vocabulary.
  init(_ tokenizer: JSONValue, beside folder: InputFolder) throws(Fault) {
    self.tokenizer = tokenizer
    settings = try Self.json(Self.settingsName, in: folder)
    template = try Self.text(Self.templateFile, in: folder)
  }

  /// Wraps documents.
  package init(tokenizer: JSONValue, settings: JSONValue?, template: String?) {
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
  package var chatTemplate: String? {
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

  /// The file that the template stands in.
  var templateName: ExactText { template == nil ? Self.settingsName : Self.templateFile }

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
  package static func json(_ name: ExactText, in path: String) throws(Fault) -> JSONValue? {
    try json(name, in: InputFolder(path: path))
  }

  private static func json(
    _ name: ExactText, in folder: InputFolder
  ) throws(Fault) -> JSONValue? {
    guard let file = try folder.find(name) else { return nil }
    return try json(file, size: sizeLimit, limits: .document)
  }

  private static func json(
    _ file: InputFile, size: Int, limits: JSONLimits
  ) throws(Fault) -> JSONValue {
    try file.parsed(as: .json) { () throws(Fault) in
      try JSONValue(
        parsing: file.contents(limit: size), file: file.path, limits: limits, dialect: .python)
    }
  }

  private static func text(_ name: ExactText, in folder: InputFolder) throws(Fault) -> String? {
    guard let file = try folder.find(name) else { return nil }
    // Any text can be a template; a pointer is none.
    let nature = try FileNature.of(file)
    if case .pointer? = nature, let nature { throw nature.fault(file: file.path) }
    let bytes = try file.contents(limit: sizeLimit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Fault(.malformed, "is not UTF-8", file: folder.place(of: name))
    }
    return text
  }
}
