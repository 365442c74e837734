package import Platform

/// Reads typed, checked values out of `config.json`.
package struct ConfigReader {
  /// The object that is read.
  package let object: JSONValue
  /// Its path in the document, for messages: empty, or `rope_scaling.`.
  let prefix: String
  /// The file, for messages.
  package let file: String
  /// What keys have that are absent; a key that is null has nothing.
  var defaults = JSONObject()

  /// The object below `key`, nil where absent or null.
  package func section(_ key: String) throws(Fault) -> ConfigReader? {
    guard let value = present(key) else { return nil }
    guard case .object = value else { throw fault(key, expected: "an object") }
    return ConfigReader(object: value, prefix: prefix + key + ".", file: file)
  }

  /// A count of at least `minimum`; the first of `keys` that is there counts.
  ///
  /// Sizes up to 2²⁰ keep every product of three of them, and so every element count, within `Int`.
  package func count(
    _ keys: String..., minimum: Int = 1, maximum: Int = 1 << 20, default fallback: Int? = nil
  ) throws(Fault) -> Int {
    guard let (key, value) = first(of: keys) else {
      guard let fallback else { throw fault(keys[0], expected: "a whole number") }
      return fallback
    }
    // Python writes 4096.0 where a number was computed.
    var whole: Int?
    if case .integer(let count) = value { whole = count }
    if case .number(let count, _) = value { whole = Int(exactly: count) }
    guard let whole, (minimum...maximum).contains(whole) else {
      throw fault(key, expected: "a whole number from \(minimum) to \(maximum)")
    }
    return whole
  }

  /// A count that a network may be without: nil where the key is null. A key that is absent and has
  /// no default is missing.
  package func optionalCount(_ key: String, minimum: Int = 1) throws(Fault) -> Int? {
    if object[key] == .null { return nil }
    return try count(key, minimum: minimum)
  }

  /// A finite number, nil where absent or null.
  package func number(_ key: String) throws(Fault) -> Double? {
    switch present(key) {
    case nil: return nil
    case .integer(let value)?: return Double(value)
    case .number(let value, _)? where value.isFinite: return value
    default: throw fault(key, expected: "a number")
    }
  }

  /// A truth value, nil where absent or null.
  package func flag(_ key: String) throws(Fault) -> Bool? {
    switch present(key) {
    case nil: return nil
    case .bool(let value)?: return value
    default: throw fault(key, expected: "true or false")
    }
  }

  /// A string, nil where absent or null.
  package func string(_ keys: String...) throws(Fault) -> String? {
    guard let (key, value) = first(of: keys) else { return nil }
    guard case .string(let text) = value else { throw fault(key, expected: "a string") }
    return text
  }

  /// The elements of an array, nil where absent or null.
  package func array(_ key: String) throws(Fault) -> [JSONValue]? {
    switch present(key) {
    case nil: return nil
    case .array(let values)?: return values
    default: throw fault(key, expected: "an array")
    }
  }

  /// A fault that names the key and what stands there.
  package func fault(_ key: String, expected: String) -> Fault {
    Fault(
      .malformed, "config key \"\(prefix)\(key)\"", file: file, expected: expected,
      found: object[key]?.text(indent: nil) ?? "nothing")
  }

  /// Names what is read.
  package init(object: JSONValue, prefix: String, file: String) {
    self.object = object
    self.prefix = prefix
    self.file = file
  }

  private func present(_ key: String) -> JSONValue? {
    switch object[key] {
    case nil: defaults[key]
    case .null?: nil
    case let value?: value
    }
  }

  /// The first of some keys that stands there, else the first that has a default.
  private func first(of keys: [String]) -> (key: String, value: JSONValue)? {
    for key in keys where object[key] != nil && object[key] != .null {
      return object[key].map { (key, $0) }
    }
    for key in keys { if let value = present(key) { return (key, value) } }
    return nil
  }
}
