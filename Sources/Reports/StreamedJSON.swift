internal import Locks
package import Platform

/// Documents whose lists grow with a model: the members that stay small come first, then each list
/// with a line for every element, so that neither the text nor the list's JSON is ever held whole.
package enum StreamedJSON {
  /// Writes the opening brace and the members that stay small, of which there must be some.
  package static func begin(
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
  package static func list<Elements: Collection>(
    _ key: String, depth: Int = 1, _ elements: Elements,
    _ write: (OutputText) throws(Fault) -> Void, _ json: (Elements.Element) -> JSONValue
  ) throws(Fault) {
    try list(key, depth, elements, write) { json($0).printed(indent: nil) }
  }

  /// The same where each entry is an object that is written member by member.
  package static func list<Elements: Collection>(
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

  /// Bytes that such a list of so many elements takes, its lines made by several threads.
  package static func byteCount(
    ofList key: String, depth: Int = 1, lines count: Int, threads: Int,
    _ add: @Sendable (_ element: Int, _ line: inout JSONLine) -> Void
  ) -> Int {
    let piece = 1024
    let sums = Guarded(0)
    // Counting cannot fail.
    try? Workers.run(threads: threads, count: (count + piece - 1) / piece) {
      (_, item) throws(Fault) in
      var sum = 0
      for element in item * piece..<min(count, (item + 1) * piece) {
        var line = JSONLine()
        add(element, &line)
        sum += line.byteCount
      }
      sums.withLock { $0 += sum }
    }
    var total = sums.withLock { $0 }
    let blank = OutputText(document: "")
    func measure(_ text: OutputText) throws(Fault) { total += text.text.utf8.count }
    try? list(key, depth, 0..<count, measure) { _ in blank }
    return total
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
  package static func end(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    try write("\n}\n")
  }
}
