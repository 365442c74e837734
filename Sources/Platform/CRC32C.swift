internal import CPlatform

/// CRC-32C (RFC 3720) of bytes that come in pieces, which may be summed apart from each other.
///
/// It finds what a disk, a crash or a stray hand does to a file; it is no proof against people.
package struct CRC32C: Sendable, Hashable {
  /// The checksum.
  package private(set) var value: UInt32
  /// Bytes that it is of.
  package private(set) var count: Int

  /// Starts with nothing, or with what a checksum was noted of.
  package init(value: UInt32 = 0, count: Int = 0) {
    self.value = value
    self.count = count
  }

  /// The checksum of some bytes.
  ///
  /// - Parameter plain: computes it without the processor's instruction for it, which is slow.
  package init(_ bytes: UnsafeRawBufferPointer, plain: Bool = false) {
    value = fathom_crc32c(bytes.baseAddress, bytes.count, plain ? 1 : 0)
    count = bytes.count
  }

  /// The checksum of a text's UTF-8.
  package init(_ text: String) {
    var text = text
    self = text.withUTF8 { CRC32C(UnsafeRawBufferPointer($0)) }
  }

  /// Takes in the bytes that another checksum is of, behind those that are there.
  package mutating func append(_ other: CRC32C) {
    value = fathom_crc32c_joined(value, other.value, UInt64(other.count))
    count += other.count
  }

  /// The checksum as eight hexadecimal digits.
  package var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
