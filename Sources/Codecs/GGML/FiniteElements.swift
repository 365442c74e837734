internal import CKernels
internal import Tensors

/// Where the numbers lie that decide whether a block's values are finite.
private enum ScalePlaces {
  /// F16 numbers at these bytes of a block.
  case halves([Int])
  /// An E8M0 exponent at the start, 255 being NaN.
  case exponent
  /// An F16 number in the high four bits of four 16-bit words from this byte on.
  case spread(Int)
  /// Every code is a number.
  case none

  static let table: [ElementType: ScalePlaces] = [
    .q40: .halves([0]), .q41: .halves([0, 2]), .q50: .halves([0]), .q51: .halves([0, 2]),
    .q80: .halves([0]), .q2K: .halves([80, 82]), .q3K: .halves([108]), .q4K: .halves([0, 2]),
    .q5K: .halves([0, 2]), .q6K: .halves([208]), .iq4NL: .halves([0]), .iq4XS: .halves([0]),
    .tq10: .halves([52]), .tq20: .halves([64]), .mxfp4: .exponent, .nvfp4: .none,
    .iq1S: .halves([0]), .iq1M: .spread(48), .iq2XXS: .halves([0]), .iq2XS: .halves([0]),
    .iq2S: .halves([0]), .iq3XXS: .halves([0]), .iq3S: .halves([0]),
    .q10: .halves([0]), .q20: .halves([0]),
  ]
}

extension Codec {
  /// The first element, or the first of the first block, that is NaN or infinite; nil where all are
  /// finite.
  ///
  /// What llama.cpp looks at before it takes a tensor: plain numbers themselves, of blocks their
  /// scales. Types that it does not know are not looked at.
  package func firstNotFinite(
    _ bytes: UnsafeRawBufferPointer, level: KernelLevel = .best
  ) -> Int? {
    switch type {
    case .f32: return Codec.firstNotFinite(bytes, level)
    case .f16: return Codec.firstHalf(bytes, exponent: 0x7C00, level)
    case .bf16: return Codec.firstHalf(bytes, exponent: 0x7F80, level)
    default:
      guard let places = ScalePlaces.table[type], let block = type.block else { return nil }
      if case .halves(let offsets) = places, Codec.areFinite(bytes, offsets, step: block.bytes) {
        return nil
      }
      for start in stride(from: 0, to: bytes.count, by: block.bytes)
      where !Codec.isFinite(bytes, start, places) {
        return start / block.bytes * block.elements
      }
      return nil
    }
  }

  private static func firstNotFinite(
    _ bytes: UnsafeRawBufferPointer, _ level: KernelLevel
  ) -> Int? {
    let count = bytes.count / 4
    func bits(_ index: Int) -> UInt32 {
      bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self) & 0x7FFF_FFFF
    }
    if let kernels = level.kernels, let start = bytes.baseAddress,
      UInt(bitPattern: start) % 4 == 0,
      kernels.pointee.amax(start.assumingMemoryBound(to: Float.self), count) < 0x7F80_0000
    {
      return nil
    }
    return (0..<count).first { bits($0) >= 0x7F80_0000 }
  }

  private static func firstHalf(
    _ bytes: UnsafeRawBufferPointer, exponent: UInt16, _ level: KernelLevel
  ) -> Int? {
    let count = bytes.count / 2
    if let kernels = level.kernels, let start = bytes.baseAddress,
      kernels.pointee.amax_half(start, count) < exponent
    {
      return nil
    }
    return (0..<count).first {
      bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self) & exponent == exponent
    }
  }

  /// Whether the F16 numbers at these bytes of all blocks are finite, without a branch for each.
  private static func areFinite(
    _ bytes: UnsafeRawBufferPointer, _ offsets: [Int], step: Int
  ) -> Bool {
    offsets.allSatisfy { offset in
      var largest: UInt16 = 0
      for start in stride(from: offset, to: bytes.count, by: step) {
        largest = max(largest, bytes.loadUnaligned(fromByteOffset: start, as: UInt16.self) & 0x7C00)
      }
      return largest < 0x7C00
    }
  }

  private static func isFinite(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ places: ScalePlaces
  ) -> Bool {
    func word(_ offset: Int) -> UInt16 {
      bytes.loadUnaligned(fromByteOffset: start + offset, as: UInt16.self)
    }
    return switch places {
    case .halves(let offsets): offsets.allSatisfy { word($0) & 0x7C00 != 0x7C00 }
    case .exponent: bytes[start] != 255
    // The scale's exponent lies in the highest bits of the last two words.
    case .spread(let offset):
      word(offset + 6) & 0x7000 != 0x7000 || word(offset + 4) & 0xC000 != 0xC000
    case .none: true
    }
  }
}
