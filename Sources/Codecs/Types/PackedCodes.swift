internal import CKernels
internal import Tensors

extension Codec {
  /// Unsigned integers of 2 to 6 bits as they are packed: an unbroken stream, lowest bits first.
  static let packedCodes = [ElementType.u2, .u3, .u4, .u5, .u6].map { type in
    Codec(type) { bytes, values, level in
      if let kernels = fathom_groups_at(level.rawValue) {
        kernels.pointee.decode(bytes, Int32(type.bits), into: values)
        return
      }
      BitStream.unpack(bytes, bits: type.bits, count: values.count) { index, code in
        values[index] = Float(code)
      }
    }
  }
}

extension fathom_group_kernels {
  /// Codes of a kind without scales: each times 1.
  func decode(
    _ bytes: UnsafeRawBufferPointer, _ kind: Int32, into values: UnsafeMutableBufferPointer<Float>
  ) {
    withUnsafePointer(to: 1) { (scale: UnsafePointer<Float>) in
      var grid = fathom_code_grid(
        scales: scale, zeros: nil, zero_step: 0, biases: nil, first: values.count,
        block: values.count)
      decode(
        bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), kind, values.count, &grid,
        values.baseAddress!)
    }
  }
}

/// Codes of at most 8 bits in an unbroken stream, lowest bits first: how MLX packs its weights (in
/// U32 containers), and compressed-tensors 0.20 its integers (in I32).
enum BitStream {
  /// Calls `body` with the index of each of the first `count` codes and the code.
  static func unpack(
    _ bytes: UnsafeRawBufferPointer, bits: Int, count: Int, _ body: (Int, UInt8) -> Void
  ) {
    let mask = UInt16(1 << bits - 1)
    for index in 0..<count {
      let (byte, shift) = (index * bits).quotientAndRemainder(dividingBy: 8)
      let next = shift + bits > 8 ? UInt16(bytes[byte + 1]) << 8 : 0
      body(index, UInt8((UInt16(bytes[byte]) | next) >> UInt16(shift) & mask))
    }
  }

  /// codes (n), one to a byte → bytes, all of them written: what the codes leave over is zero.
  static func pack(
    _ codes: UnsafeBufferPointer<UInt8>, bits: Int, into bytes: UnsafeMutableRawBufferPointer
  ) {
    precondition((codes.count * bits + 7) / 8 <= bytes.count)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    for (index, code) in codes.enumerated() {
      let (byte, shift) = (index * bits).quotientAndRemainder(dividingBy: 8)
      let word = UInt16(code) << UInt16(shift)
      bytes[byte] |= UInt8(truncatingIfNeeded: word)
      if word > 0xFF { bytes[byte + 1] |= UInt8(word >> 8) }
    }
  }
}
