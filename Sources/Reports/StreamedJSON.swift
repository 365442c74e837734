public import Platform

/// Documents whose lists grow with a model: the members that stay small come first, then each list
/// with a line for every element, so that neither the text nor the list's JSON is ever held whole.
public enum StreamedJSON {
  /// Writes the opening brace and the members that stay small, of which there must be some.
  public static func begin(
    _ head: JSONObject, _ write: (OutputText) throws(Fault) -> Void
  ) throws(Fault) {
    precondition(head.count > 0, "the lists that follow start with a comma")
    let text = JSONValue.object(head).printed().text
    try write(OutputText(document: String(text.dropLast("\n}".count))))
  }

  /// Writes a member that is a list, behind others.
  ///
  /// - Parameters:
  ///   - depth: objects that it stands in.
  ///   - json: an element's entry.
  public static func list<Elements: Collection>(
    _ key: String, depth: Int = 1, _ elements: Elements,
    _ write: (OutputText) throws(Fault) -> Void, _ json: (Elements.Element) -> JSONValue
  ) throws(Fault) {
    try list(key, depth, elements, write) { json($0).printed(indent: nil) }
  }

  /// The same where each entry is an object that is written member by member.
  public static func list<Elements: Collection>(
    _ key: String, depth: Int = 1, lines elements: Elements,
    _ write: (OutputText) throws(Fault) -> Void,
    _ add: (_ element: Elements.Element, _ line: inout JSONLine) -> Void
  ) throws(Fault) {
    try list(key, depth, elements, write) { element in
      var line = JSONLine()
      add(element, &line)
      return OutputText(document: line.text)
    }
  }

  private static func list<Elements: Collection>(
    _ key: String, _ depth: Int, _ elements: Elements,
    _ write: (OutputText) throws(Fault) -> Void, text: (Elements.Element) -> OutputText
  ) throws(Fault) {
    let line = OutputText(document: "\n" + String(repeating: "  ", count: depth))
    try write("," + line + JSONValue.string(key).printed() + ": [")
    var separator = line + "  "
    for element in elements {
      try write(separator)
      try write(text(element))
      separator = "," + line + "  "
    }
    try write(elements.isEmpty ? "]" : line + "]")
  }

  /// Writes the closing brace.
  public static func end(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    try write("\n}\n")
  }
}
