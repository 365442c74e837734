package import Platform

/// The header of a packed file, which stands before bytes whose number is known only afterwards.
///
/// Room for the longest text that it may have is kept at the start of the file; spaces fill the rest.
package struct PackedHeader: Sendable {
  /// Names of the entries, in the order of their bytes.
  package let names: [ExactText]
  /// Bytes of the header with the length before it.
  package let byteCount: Int

  /// - Parameter most: as many bytes as the entries can have in all.
  package init(names: [ExactText], most: Int) {
    self.names = names
    var text = PackedHeader.opening
    for name in names { PackedHeader.add(name, start: most, end: most, size: most, to: &text) }
    byteCount = 8 + (text.utf8.count + 1 + 7) / 8 * 8
  }

  private static var opening: String { PackedFile.mark + "}" }

  private static func add(_ name: ExactText, start: Int, end: Int, size: Int, to text: inout String)
  {
    text += ","
    JSONValue.quote(name.text, to: &text)
    text += ":{\"dtype\":\"U8\",\"shape\":[\(size)],\"data_offsets\":[\(start),\(end)]}"
  }

  /// The header's bytes.
  ///
  /// - Parameter sizes: of the entries.
  package func bytes(sizes: [Int]) -> [UInt8] {
    precondition(sizes.count == names.count)
    var text = PackedHeader.opening
    var end = 0
    for (name, size) in zip(names, sizes) {
      PackedHeader.add(name, start: end, end: end + size, size: size, to: &text)
      end += size
    }
    text += "}"
    let length = byteCount - 8
    precondition(text.utf8.count <= length)
    text += String(repeating: " ", count: length - text.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + text.utf8
  }
}
