package import Platform

/// The end of a manifest: the hash of all that stands before it.
///
/// It tells a manifest that was damaged or edited from one that was written so. Whoever edits one may
/// hash it anew: against that the hash of the whole file helps, kept somewhere else.
package enum ManifestSeal {
  private static let start = ",\n  \"self\": \""
  private static let end = "\"\n}\n"

  /// Bytes that it takes.
  package static let byteCount = start.utf8.count + 2 * BLAKE3Value.byteCount + end.utf8.count

  /// The text, behind what has this hash.
  package static func text(_ hash: BLAKE3Value) -> String { start + hash.text + end }

  /// Checks that a manifest ends with the hash of what stands before.
  ///
  /// - Throws: `.malformed` where it does not.
  package static func require(_ manifest: [UInt8]) throws(Fault) {
    let body = manifest.dropLast(byteCount)
    var stream = BLAKE3Stream(byteCount: body.count)
    body.withUnsafeBytes { stream.append($0) }
    let hash = stream.value()
    let seal = manifest[body.endIndex...]
    guard seal.elementsEqual(text(hash).utf8) else {
      let found = String(decoding: seal.dropFirst(start.utf8.count), as: UTF8.self)
      throw Fault(
        .malformed, "has been changed since it was written: its own hash is another",
        expected: "\"self\": \"\(hash.text)\" as its last member",
        found: String(found.prefix(2 * BLAKE3Value.byteCount)))
    }
  }
}
