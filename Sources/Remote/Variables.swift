internal import Glibc
internal import Platform

/// Variables of the environment.
package enum Variables {
  /// The text of one; nil where it is not set, or empty.
  package static func text(_ name: String) -> String? {
    guard let bytes = getenv(name) else { return nil }
    let text = String(cString: bytes)
    return text.isEmpty ? nil : text
  }

  /// Whether one says yes, as huggingface_hub takes it.
  static func isSet(_ name: String) -> Bool {
    ["1", "ON", "YES", "TRUE"].contains(text(name)?.uppercased() ?? "")
  }

  /// The user's own folder.
  static var home: String { text("HOME") ?? "." }
}
