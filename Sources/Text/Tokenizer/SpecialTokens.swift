internal import Platform

/// Special tokens and whether they are put around a text, as llama.cpp's converter finds them.
struct SpecialTokens {
  /// What `tokenizer_config.json` calls them, in the converter's order.
  static let names = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"]

  /// Ids in the order in which they were found.
  private(set) var ids: [(name: String, id: Int)] = []
  /// Whether a token is added to a text, in the order in which that was found.
  private(set) var additions: [(name: String, isAdded: Bool)] = []

  /// Looks through the post-processor, `tokenizer_config.json` and `config.json`, in this order.
  ///
  /// - Parameter addedIDs: ids of the tokens that `tokenizer.json` adds, by their texts.
  init(_ files: TokenizerFiles, addedIDs: [String: Int], config: JSONValue) {
    var texts: [String: String] = [:]
    for name in Self.names { texts[name] = Self.text(of: files.settings?["\(name)_token"]) }
    readPostProcessor(files.tokenizer["post_processor"], &texts)
    for name in Self.names where files.settings != nil {
      if case .bool(let isAdded)? = files.settings?["add_\(name)_token"] {
        add(name, isAdded, replacing: false)
      }
      if let text = texts[name], let id = addedIDs[text] { ids.append((name, id)) }
    }
    addIDs(config)
  }

  /// Adds an id where none was found.
  mutating func addID(_ id: Int, for name: String) {
    if !ids.contains(where: { $0.name == name }) { ids.append((name, id)) }
  }

  private mutating func addIDs(_ config: JSONValue) {
    for name in Self.names where !ids.contains(where: { $0.name == name }) {
      let key = "\(name)_token_id"
      var value = config[key]
      if value == nil || value == .null { value = config["text_config"]?[key] }
      if case .integer(let id)? = value, id >= 0 { ids.append((name, id)) }
    }
  }

  /// A token given as text, or as an object with `content`.
  static func text(of value: JSONValue?) -> String? {
    switch value {
    case .string(let text)?: text
    case .object(let object)?: text(of: object["content"])
    default: nil
    }
  }

  private mutating func add(_ name: String, _ isAdded: Bool, replacing: Bool) {
    guard let index = additions.firstIndex(where: { $0.name == name }) else {
      additions.append((name, isAdded))
      return
    }
    if replacing { additions[index].isAdded = isAdded }
  }

  /// What the post-processor puts around a text decides over `add_bos_token` and its like.
  private mutating func readPostProcessor(_ value: JSONValue?, _ texts: inout [String: String]) {
    guard let value, case .object = value else { return }
    var processors = [value]
    if case .array(let list)? = value["processors"] { processors = list }
    for processor in processors {
      switch processor["type"] {
      case .string("ByteLevel"):
        add("bos", false, replacing: false)
        add("eos", false, replacing: false)
      case .string("TemplateProcessing"): readTemplate(processor["single"], &texts)
      default: continue
      }
    }
  }

  /// A template for one text: the tokens that stand first and last in it.
  private mutating func readTemplate(_ value: JSONValue?, _ texts: inout [String: String]) {
    guard case .array(let pieces)? = value, pieces.count > 1 else { return }
    if let first = Self.specialToken(pieces[0]) {
      if texts["bos"] == nil { texts["bos"] = first }
      add("bos", first == texts["bos"] || first == texts["cls"], replacing: true)
    }
    if let last = Self.specialToken(pieces[pieces.count - 1]) {
      texts["eos"] = last
      add("eos", true, replacing: true)
    }
  }

  private static func specialToken(_ piece: JSONValue) -> String? {
    guard case .string(let text)? = piece["SpecialToken"]?["id"] else { return nil }
    return text
  }
}
