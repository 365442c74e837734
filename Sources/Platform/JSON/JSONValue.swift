/// A JSON document as a value; objects keep the order of their keys.
package indirect enum JSONValue: Sendable, Hashable {
  /// `null`
  case null
  /// `true` or `false`
  case bool(Bool)
  /// A number written as an integer that fits 64 bits.
  case integer(Int)
  /// Any other number, with the text that it was written as, so that rewriting a document changes
  /// no digit of what it leaves alone.
  case number(Double, text: String)
  /// A string
  case string(String)
  /// An array
  case array([JSONValue])
  /// An object
  case object(JSONObject)

  /// A number that did not come from a text.
  package static func number(_ value: Double) -> JSONValue { .number(value, text: "\(value)") }

  /// The member of an object, nil where this is no object or has no such key.
  package subscript(key: String) -> JSONValue? {
    if case .object(let object) = self { object[key] } else { nil }
  }
}

extension JSONValue: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByStringLiteral
{
  /// A whole number.
  package init(integerLiteral value: Int) { self = .integer(value) }
  /// Any other number.
  package init(floatLiteral value: Double) { self = .number(value) }
  /// `true` or `false`.
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  /// A string.
  package init(stringLiteral value: String) { self = .string(value) }
}

/// The members of a JSON object in the order of the text; no key stands twice.
package struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// Keys in order.
  package private(set) var keys: [String] = []
  /// Their values.
  private var values: [JSONValue] = []
  /// Places of the keys, once there are so many that looking for one takes longer than hashing it.
  private var places: [ExactText: Int] = [:]

  private static let mostSearched = 16

  /// Makes an empty object.
  package init() {}

  /// Makes an object from members with distinct keys.
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    for (key, value) in elements { self[key] = value }
  }

  /// Reads, replaces, appends (a new key) or removes (nil) a member.
  package subscript(key: String) -> JSONValue? {
    get { place(of: key).map { values[$0] } }
    set {
      switch (place(of: key), newValue) {
      case (let place?, let value?): values[place] = value
      case (nil, let value?): append(key, value)
      case (let place?, nil): remove(at: place)
      case (nil, nil): break
      }
    }
  }

  private func place(of key: String) -> Int? {
    let key = ExactText(key)
    return keys.count > JSONObject.mostSearched
      ? places[key] : keys.firstIndex { ExactText($0) == key }
  }

  private mutating func remove(at place: Int) {
    keys.remove(at: place)
    values.remove(at: place)
    index()
  }

  /// Notes all places anew.
  private mutating func index() {
    places = [:]
    guard keys.count > JSONObject.mostSearched else { return }
    for (place, key) in keys.enumerated() { places[ExactText(key)] = place }
  }

  /// The same members in the order of their keys.
  package var sorted: JSONObject {
    var object = JSONObject()
    for key in keys.sorted() { object[key] = self[key] }
    return object
  }

  /// Number of members.
  package var count: Int { keys.count }

  /// Whether both have the same members in the same order.
  package static func == (one: JSONObject, other: JSONObject) -> Bool {
    one.keys.elementsEqual(other.keys) { ExactText($0) == ExactText($1) }
      && one.values == other.values
  }

  /// Hashes the members.
  package func hash(into hasher: inout Hasher) {
    for key in keys { hasher.combine(ExactText(key)) }
    hasher.combine(values)
  }

  /// Appends a member whose key is known to be new.
  mutating func append(_ key: String, _ value: JSONValue) {
    keys.append(key)
    values.append(value)
    if keys.count > JSONObject.mostSearched + 1 {
      places[ExactText(key)] = keys.count - 1
    } else {
      index()
    }
  }
}

extension JSONValue {
  /// The text of the document.
  ///
  /// - Parameter indent: spaces per level; nil writes everything on one line.
  /// - Returns: deterministic text without a final newline. Numbers that are not finite become
  ///   `null`, since JSON has no way to write them.
  package func text(indent: Int? = 2) -> String { text(indent: indent, JSONValue.quote) }

  /// The same document as it may be printed: in its strings, what does not show or could speak to a
  /// CI server is escaped.
  package func printed(indent: Int? = 2) -> OutputText {
    OutputText(document: text(indent: indent, JSONValue.quotePrintable))
  }

  private func text(indent: Int?, _ quote: Quote) -> String {
    var text = ""
    write(to: &text, indent: indent, depth: 0, quote)
    return text
  }

  private typealias Quote = (_ value: String, _ text: inout String) -> Void

  private func write(to text: inout String, indent: Int?, depth: Int, _ quote: Quote) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .number(let value, let literal): text += value.isFinite ? literal : "null"
    case .string(let value): quote(value, &text)
    case .array(let values):
      JSONValue.list(values, "[", "]", to: &text, indent: indent, depth: depth) {
        $0.write(to: &$1, indent: indent, depth: depth + 1, quote)
      }
    case .object(let object):
      JSONValue.list(object.keys, "{", "}", to: &text, indent: indent, depth: depth) { key, text in
        quote(key, &text)
        text += indent == nil ? ":" : ": "
        object[key]?.write(to: &text, indent: indent, depth: depth + 1, quote)
      }
    }
  }

  private static func list<Item>(
    _ items: [Item], _ open: String, _ close: String, to text: inout String, indent: Int?,
    depth: Int, write: (Item, inout String) -> Void
  ) {
    text += open
    for (index, item) in items.enumerated() {
      if index > 0 { text += "," }
      if let indent {
        text += "\n" + String(repeating: " ", count: indent * (depth + 1))
      }
      write(item, &text)
    }
    if let indent, !items.isEmpty { text += "\n" + String(repeating: " ", count: indent * depth) }
    text += close
  }

  /// Appends a text that is made of characters of ASCII that show and stand for themselves in a JSON
  /// string, as nearly all are.
  ///
  /// - Parameter other: a character that does not.
  /// - Returns: whether it is such a text.
  private static func quotePlain(_ value: String, but other: UInt8, to text: inout String) -> Bool {
    func isPlain(_ byte: UInt8) -> Bool {
      byte &- 0x20 < 0x5F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
        && byte != other
    }
    guard
      value.utf8.withContiguousStorageIfAvailable({ $0.allSatisfy(isPlain) })
        ?? value.utf8.allSatisfy(isPlain)
    else { return false }
    text += "\""
    text += value
    text += "\""
    return true
  }

  /// Appends `value` as a JSON string, with all that could leave the string escaped: for files,
  /// whose bytes are those that other programs would write.
  package static func quote(_ value: String, to text: inout String) {
    if quotePlain(value, but: UInt8(ascii: "\\"), to: &text) { return }
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      // The C1 controls, 0x80 to 0x9F, command terminals as well.
      case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }

  /// Appends `value` as a JSON string of characters that show, for documents that are printed. It is
  /// parsed back to the same value.
  package static func quotePrintable(_ value: String, to text: inout String) {
    if quotePlain(value, but: UInt8(ascii: "#"), to: &text) { return }
    var quoted = ""
    quote(value, to: &quoted)
    let characters = quoted.unicodeScalars
    var last: Unicode.Scalar = " "
    var start = characters.startIndex
    for place in characters.indices {
      let character = characters[place]
      // Some CI servers look for commands anywhere in a line: `##vso[`.
      if character.hidesOrSpaces || (character == "#" && last == "#") {
        // A view of scalars would copy all of the text to append to it.
        text += quoted[start..<place]
        for unit in String(character).utf16 {
          let digits = String(unit, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
        start = characters.index(after: place)
      }
      last = character
    }
    text += quoted[start...]
  }
}
