internal import Tensors

extension BlockCodec {
  /// 48 bytes of five ternary digits and 4 of four, then F16 scale; value = (digit − 1) · scale.
  ///
  /// A byte is ⌈256 · n / 243⌉ for the number n of its digits, the first the most significant, so
  /// that digit i is the integer part of 3 · (byte · 3ⁱ mod 256) / 256.
  static let tq10 = BlockCodec(.tq10) { bytes, values in
    let scale = BlockMath.loadHalf(bytes + 52)
    Ternary.forEachByte { byte, first, step, digits in
      var code = bytes[byte]
      for digit in 0..<digits {
        values[first + digit * step] = Float((Int32(code) * 3) >> 8 - 1) * scale
        code = code &* 3
      }
    }
  } encode: { x, _, bytes in
    let inverse = Ternary.storeScale(x, bytes + 52)
    Ternary.forEachByte { byte, first, step, digits in
      var number: UInt8 = 0
      for digit in 0..<5 {
        number = number &* 3
        guard digit < digits else { continue }
        number = number &+ Ternary.digit(x[first + digit * step] * inverse)
      }
      bytes[byte] = UInt8(truncatingIfNeeded: (UInt32(number) * 256 + 242) / 243)
    }
  }

  /// 64 bytes of four 2-bit codes, element i of a half with i + 32, i + 64 and i + 96, then F16
  /// scale; value = (code − 1) · scale.
  static let tq20 = BlockCodec(.tq20) { bytes, values in
    let scale = BlockMath.loadHalf(bytes + 64)
    for index in 0..<256 {
      values[index] = Float(Int32(TwoBits.load(bytes, index)) - 1) * scale
    }
  } encode: { x, _, bytes in
    let inverse = Ternary.storeScale(x, bytes + 64)
    for byte in 0..<64 {
      var number: UInt8 = 0
      for digit in 0..<4 {
        let value = x[byte / 32 * 128 + byte % 32 + 32 * digit] * inverse
        number |= (Ternary.digit(value) & 3) << UInt8(2 * digit)
      }
      bytes[byte] = number
    }
  }
}

private enum Ternary {
  /// Calls `body` for each of the 52 bytes with its first element, the distance to its next ones
  /// and their number.
  @inline(__always)
  static func forEachByte(_ body: (_ byte: Int, _ first: Int, _ step: Int, _ digits: Int) -> Void) {
    for byte in 0..<32 { body(byte, byte, 32, 5) }
    for byte in 0..<16 { body(32 + byte, 160 + byte, 16, 5) }
    for byte in 0..<4 { body(48 + byte, 240 + byte, 4, 4) }
  }

  /// Stores the largest magnitude; returns its inverse.
  static func storeScale(
    _ x: UnsafePointer<Float>, _ bytes: UnsafeMutablePointer<UInt8>
  ) -> Float {
    var largest: Float = 0
    for index in 0..<256 {
      largest = largest > x[index].magnitude ? largest : x[index].magnitude
    }
    BlockMath.storeHalf(largest, bytes)
    return BlockMath.inverse(largest)
  }

  /// 0, 1 or 2 for −1, 0 or 1; what is not finite counts as 0.
  @inline(__always)
  static func digit(_ x: Float) -> UInt8 {
    guard x.magnitude < 0x1p62 else { return 1 }
    return UInt8(truncatingIfNeeded: Int(x.rounded(.toNearestOrAwayFromZero)) + 1)
  }
}
