internal import Platform

/// An object of a list that grows with a model, on one line, written member by member: the text that
/// the `JSONValue` has, without the value, which takes longer to make than to print.
package struct JSONLine {
  private var members = ""

  /// An object without members.
  package init() {
    // Most lines fit: growing would copy them several times.
    members.reserveCapacity(512)
  }

  /// Begins a member; keys are words of this program, which need no escape.
  private mutating func begin(_ key: StaticString) {
    members += members.isEmpty ? "{\"" : ",\""
    members += key.description
    members += "\":"
  }

  /// Bytes of the line.
  var byteCount: Int { members.isEmpty ? 2 : members.utf8.count + 1 }

  /// Adds a string; nil is null. No key is given twice.
  package mutating func add(_ key: StaticString, _ value: String?) {
    begin(key)
    if let value { JSONValue.quotePrintable(value, to: &members) } else { members += "null" }
  }

  /// Adds a number.
  package mutating func add(_ key: StaticString, _ value: Int) {
    begin(key)
    members += String(value)
  }

  /// Adds a list of numbers.
  package mutating func add(_ key: StaticString, _ values: [Int]) {
    add(key, values) { $1 += String($0) }
  }

  /// Adds a list of strings.
  package mutating func add(_ key: StaticString, _ values: [String]) {
    add(key, values) { JSONValue.quotePrintable($0, to: &$1) }
  }

  private mutating func add<Value>(
    _ key: StaticString, _ values: [Value], write: (_ value: Value, _ text: inout String) -> Void
  ) {
    begin(key)
    var separator = "["
    for value in values {
      members += separator
      write(value, &members)
      separator = ","
    }
    members += values.isEmpty ? "[]" : "]"
  }

  /// The line, its strings escaped as those of a document that is printed.
  var text: String { members.isEmpty ? "{}" : members + "}" }
}
