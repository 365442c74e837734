package import Platform

/// A key that is set to the text of a file: `KEY=FILE`.
package struct MetadataText: Sendable, Hashable {
  private let key: String
  private let path: String

  /// Largest text that is read.
  private static let limit = 16 << 20

  /// Reads `KEY=FILE`.
  ///
  /// - Throws: `.usage` for anything else.
  package init(parsing text: String) throws(Fault) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
      throw Fault(.usage, "names no key and file", expected: "KEY=FILE", found: text)
    }
    key = String(parts[0])
    path = String(parts[1])
  }

  /// Reads the file.
  ///
  /// - Throws: what reading throws; `.malformed` for what is no UTF-8.
  package func change() throws(Fault) -> MetadataChange {
    let bytes = try InputFile.contents(of: path, limit: MetadataText.limit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Fault(.malformed, "is no text in UTF-8", file: path)
    }
    return try MetadataChange(key, text: text)
  }
}
