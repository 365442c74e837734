package import Platform

/// A model's template for chats: the part of Jinja that those of DeepSeek's family use, with the
/// settings of transformers. What it does not know it refuses with the place.
package struct ChatTemplate {
  private let nodes: [TemplateNode]
  private let file: String

  /// Largest template that is read, in bytes; DeepSeek's have some thousand.
  private static let limit = 1 << 20

  /// Reads a template.
  ///
  /// - Parameter file: where it stands, for messages, whose offsets count from its beginning.
  /// - Throws: `.malformed` for what cannot be read.
  package init(_ source: String, file: String) throws(Fault) {
    self.file = file
    guard source.utf8.count <= ChatTemplate.limit else {
      throw Fault(
        .malformed, "has a chat template that is too long", file: file,
        expected: "at most \(ChatTemplate.limit) bytes", found: "\(source.utf8.count)")
    }
    nodes = try ChatTemplate.located(file) { () throws(Fault) in
      try TemplateParser.nodes(source)
    }
  }

  /// What a model is given for one message of a user, up to where its answer begins.
  ///
  /// - Parameters:
  ///   - text: the message.
  ///   - specialTexts: texts of special tokens by the names that templates have for them.
  /// - Throws: `.malformed` where the template uses what Fathom does not know.
  package func prompt(
    user text: String, specialTexts: [String: String]
  ) throws(Fault) -> String {
    var names: [String: TemplateValue] = [:]
    for name in TemplateFilters.functions { names[name] = .function(name) }
    for (name, text) in specialTexts { names[name] = .string(text) }
    names["messages"] = .list([
      .dictionary([("role", .string("user")), ("content", .string(text))])
    ])
    names["add_generation_prompt"] = .bool(true)
    // transformers gives every template these, empty or not.
    names["tools"] = TemplateValue.none
    names["documents"] = TemplateValue.none
    return try ChatTemplate.located(file) { () throws(Fault) in
      try TemplateEvaluator.run(nodes, names: names, size: text.utf8.count)
    }
  }

  private static func located<Value>(
    _ file: String, _ body: () throws(Fault) -> Value
  ) throws(Fault) -> Value {
    do throws(Fault) {
      return try body()
    } catch {
      throw Fault(
        error.kind, "chat template " + error.message, file: file, offset: error.offset,
        expected: error.expected, found: error.found)
    }
  }
}
