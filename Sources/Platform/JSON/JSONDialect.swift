/// What a document may have beyond RFC 8259.
package enum JSONDialect: Sendable, Hashable {
  /// Nothing.
  case standard
  /// What Python's `json` writes, and people's editors: `NaN`, `Infinity`, `-Infinity`, integers of
  /// any size, and a mark of byte order before all. Whoever reads a number asks whether it is finite.
  case python

  /// A text with spaces in place of a mark of byte order at its start, so that offsets stay.
  package static func withoutMark(_ bytes: [UInt8]) -> [UInt8] {
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    guard bytes.starts(with: mark) else { return bytes }
    return [0x20, 0x20, 0x20] + bytes.dropFirst(mark.count)
  }
}
