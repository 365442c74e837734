internal import CPlatform

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
package struct SHA256Digest: Sendable {
  /// Bytes of a digest.
  package static let byteCount = 32
  private static let blockBytes = 64
  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
    0x5be0_cd19,
  ]
  private var pending: [UInt8] = []
  private var length = 0
  private let isPlain: Bool

  /// Starts with nothing.
  ///
  /// - Parameter isPlain: leaves the processor's own instructions for it unused; the digest is the
  ///   same.
  package init(isPlain: Bool = false) { self.isPlain = isPlain }

  /// The digest of some bytes.
  package static func hash(_ bytes: [UInt8]) -> [UInt8] {
    var digest = SHA256Digest()
    digest.update(bytes)
    return digest.finish()
  }

  /// A digest as lower-case hexadecimal digits.
  package static func text(_ digest: [UInt8]) -> String {
    digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Appends bytes.
  package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  /// Appends bytes.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    length += bytes.count
    var rest = bytes[...]
    if !pending.isEmpty {
      let taken = min(rest.count, Self.blockBytes - pending.count)
      pending += rest.prefix(taken)
      rest = rest.dropFirst(taken)
      guard pending.count == Self.blockBytes else { return }
      pending.withUnsafeBytes { mix($0) }
      pending.removeAll(keepingCapacity: true)
    }
    let whole = rest.count / Self.blockBytes * Self.blockBytes
    mix(UnsafeRawBufferPointer(rebasing: rest.prefix(whole)))
    pending += rest.dropFirst(whole)
  }

  /// Ends the message; the value is of no further use.
  package mutating func finish() -> [UInt8] {
    let bits = UInt64(length) * 8
    let zeros = (119 - pending.count % 64) % 64
    update([0x80] + [UInt8](repeating: 0, count: zeros))
    update((0..<8).map { UInt8(truncatingIfNeeded: bits >> UInt64(56 - 8 * $0)) })
    return state.flatMap { word in
      (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * $0)) }
    }
  }

  /// Takes in whole blocks.
  private mutating func mix(_ blocks: UnsafeRawBufferPointer) {
    guard let start = blocks.baseAddress else { return }
    fathom_sha256_blocks(&state, start, blocks.count / Self.blockBytes, isPlain ? 1 : 0)
  }
}
