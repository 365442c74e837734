/// A tensor's name in a line of text: what could be mistaken for something else is escaped, so that
/// two names never give one line, and a line gives its name back exactly.
package enum ListedName {
  /// The name with `\` doubled and with what moves a cursor or does not show as `\u{…}`.
  package static func shown(_ name: String) -> String {
    escaped(name) { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: true
      case .unassigned: scalar.properties.isNoncharacterCodePoint
      default: false
      }
    }
  }

  /// The name as a checkpoint's hash has it: with `\` doubled and with control characters of ASCII
  /// as `\u{…}`. Names without either are themselves; no table of Unicode's has a say.
  static func hashed(_ name: String) -> String {
    guard name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "\\") })
    else { return name }
    return escaped(name) { $0.value < 0x20 || $0.value == 0x7F }
  }

  private static func escaped(
    _ name: String, _ isEscaped: (Unicode.Scalar) -> Bool
  ) -> String {
    var result = ""
    for scalar in name.unicodeScalars {
      if scalar == "\\" {
        result += "\\\\"
      } else if isEscaped(scalar) {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// The name that was escaped; nil for what no name gives: other escapes, control characters.
  package static func name(shownAs text: String) -> String? {
    var result = ""
    var rest = text.unicodeScalars[...]
    while let scalar = rest.popFirst() {
      if scalar.properties.generalCategory == .control { return nil }
      guard scalar == "\\" else {
        result.unicodeScalars.append(scalar)
        continue
      }
      switch rest.popFirst() {
      case "\\": result.unicodeScalars.append("\\")
      case "u":
        guard rest.popFirst() == "{", let end = rest.firstIndex(of: "}"),
          rest.startIndex < end, let value = UInt32(String(rest[..<end]), radix: 16),
          let escaped = Unicode.Scalar(value)
        else { return nil }
        result.unicodeScalars.append(escaped)
        rest = rest[rest.index(after: end)...]
      default: return nil
      }
    }
    return result
  }

  /// Whether a name holds a control character, which no list of hashes takes.
  package static func hasControl(_ name: String) -> Bool {
    name.unicodeScalars.contains { $0.properties.generalCategory == .control }
  }
}
