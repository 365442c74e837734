/// Documents whose lists grow with a model: the members that stay small come first, then each list
/// with a line for every element, so that neither the text nor the list's JSON is ever held whole.
public enum StreamedJSON {
  /// Writes the opening brace and the members that stay small, of which there must be some.
  public static func begin(
    _ head: JSONObject, _ write: (String) throws(Fault) -> Void
  ) throws(Fault) {
    precondition(head.count > 0, "the lists that follow start with a comma")
    try write(String(JSONValue.object(head).text().dropLast("\n}".count)))
  }

  /// Writes a member that is a list, behind others.
  ///
  /// - Parameters:
  ///   - depth: objects that it stands in.
  ///   - json: an element's entry.
  public static func list<Elements: Collection>(
    _ key: String, depth: Int = 1, _ elements: Elements,
    _ write: (String) throws(Fault) -> Void, _ json: (Elements.Element) -> JSONValue
  ) throws(Fault) {
    let line = "\n" + String(repeating: "  ", count: depth)
    var start = "," + line
    JSONValue.quote(key, to: &start)
    try write(start + ": [")
    var separator = line + "  "
    for element in elements {
      try write(separator + json(element).text(indent: nil))
      separator = "," + line + "  "
    }
    try write(elements.isEmpty ? "]" : line + "]")
  }

  /// Writes the closing brace.
  public static func end(_ write: (String) throws(Fault) -> Void) throws(Fault) {
    try write("\n}\n")
  }
}
