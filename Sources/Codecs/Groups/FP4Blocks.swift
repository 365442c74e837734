package import Tensors

/// The two homes of E2M1 codes, between which they move without being decoded: MLX and
/// compressed-tensors keep codes and scales apart, the codes in an unbroken stream; ggml keeps them
/// in blocks, where each byte holds element i of a group and the one half a group behind it.
///
/// The values are the same numbers, but that ggml knows no negative zero. NVFP4's global scale stays
/// apart in both homes: ggml multiplies by its inverse what compressed-tensors divides by.
package struct FP4Blocks: Sendable {
  /// ggml's type of the blocks: `mxfp4` or `nvfp4`.
  package let type: ElementType
  /// Elements that share a scale.
  package let group: Int
  /// Scales at the start of a block, a byte each: the same bytes in both homes.
  package let scales: Int
  /// The largest byte that is a scale to both: above it E8M0 has NaN, and E4M3 NaN and negative
  /// numbers, all of which ggml reads otherwise.
  package let largestScale: UInt8

  /// Groups of 32 with E8M0 scales: `mxfp4-pack-quantized`, MLX' `mxfp4`.
  package static let mxfp4 = FP4Blocks(type: .mxfp4, group: 32, scales: 1, largestScale: 0xFE)
  /// Groups of 16 with E4M3 scales: `nvfp4-pack-quantized`, MLX' `nvfp4`.
  package static let nvfp4 = FP4Blocks(type: .nvfp4, group: 16, scales: 4, largestScale: 0x7E)
  /// Both.
  package static let table = [mxfp4, nvfp4]

  private var blockBytes: Int { scales * (1 + group / 2) }

  /// The first scale that is not the same number to ggml; nil where all can be carried.
  package func firstUncarried(_ scales: UnsafeRawBufferPointer) -> Int? {
    scales.firstIndex { $0 > largestScale }
  }

  /// codes (n elements) and scales (n / group) → ggml's blocks, n whole blocks
  package func pack(
    codes: UnsafeRawBufferPointer, scales: UnsafeRawBufferPointer,
    into blocks: UnsafeMutableRawBufferPointer
  ) {
    let count = blockCount(blocks.count, codes.count, scales.count)
    for block in 0..<count {
      let start = block * blockBytes
      for index in 0..<self.scales {
        let group = block * self.scales + index
        blocks[start + index] = scales[group]
        interleave(
          codes, from: group * self.group / 2, into: blocks,
          at: start + self.scales + index * self.group / 2)
      }
    }
  }

  /// ggml's blocks → codes (n elements) as an unbroken stream
  package func unpackCodes(
    _ blocks: UnsafeRawBufferPointer, into codes: UnsafeMutableRawBufferPointer
  ) {
    let count = blockCount(blocks.count, codes.count, nil)
    for block in 0..<count {
      for index in 0..<scales {
        separate(
          blocks, from: block * blockBytes + scales + index * group / 2, into: codes,
          at: (block * scales + index) * group / 2)
      }
    }
  }

  /// ggml's blocks → scales (n / group)
  package func unpackScales(
    _ blocks: UnsafeRawBufferPointer, into scales: UnsafeMutableRawBufferPointer
  ) {
    let count = blockCount(blocks.count, nil, scales.count)
    for block in 0..<count {
      for index in 0..<self.scales {
        scales[block * self.scales + index] = blocks[block * blockBytes + index]
      }
    }
  }

  private func blockCount(_ blocks: Int, _ codes: Int?, _ scales: Int?) -> Int {
    let count = blocks / blockBytes
    precondition(blocks == count * blockBytes)
    precondition((codes ?? count * self.scales * group / 2) == count * self.scales * group / 2)
    precondition((scales ?? count * self.scales) == count * self.scales)
    return count
  }

  /// A group's codes in order → each byte element i and, above it, the one half a group behind.
  private func interleave(
    _ source: UnsafeRawBufferPointer, from: Int, into target: UnsafeMutableRawBufferPointer,
    at: Int
  ) {
    let half = group / 2
    for start in stride(from: 0, to: half, by: 8) {
      let low = source.loadUnaligned(fromByteOffset: from + start / 2, as: UInt32.self)
      let high = source.loadUnaligned(fromByteOffset: from + (half + start) / 2, as: UInt32.self)
      target.storeBytes(
        of: FP4Blocks.spread(low) | FP4Blocks.spread(high) << 4, toByteOffset: at + start,
        as: UInt64.self)
    }
  }

  private func separate(
    _ source: UnsafeRawBufferPointer, from: Int, into target: UnsafeMutableRawBufferPointer,
    at: Int
  ) {
    let half = group / 2
    for start in stride(from: 0, to: half, by: 8) {
      let word = source.loadUnaligned(fromByteOffset: from + start, as: UInt64.self)
      target.storeBytes(
        of: FP4Blocks.gather(word), toByteOffset: at + start / 2, as: UInt32.self)
      target.storeBytes(
        of: FP4Blocks.gather(word >> 4), toByteOffset: at + (half + start) / 2, as: UInt32.self)
    }
  }

  /// Eight nibbles → the lower halves of eight bytes.
  private static func spread(_ nibbles: UInt32) -> UInt64 {
    var word = UInt64(nibbles)
    word = (word | word << 16) & 0x0000_FFFF_0000_FFFF
    word = (word | word << 8) & 0x00FF_00FF_00FF_00FF
    return (word | word << 4) & 0x0F0F_0F0F_0F0F_0F0F
  }

  /// The lower halves of eight bytes → eight nibbles.
  private static func gather(_ bytes: UInt64) -> UInt32 {
    var word = bytes & 0x0F0F_0F0F_0F0F_0F0F
    word = (word | word >> 4) & 0x00FF_00FF_00FF_00FF
    word = (word | word >> 8) & 0x0000_FFFF_0000_FFFF
    return UInt32(truncatingIfNeeded: word | word >> 16)
  }
}
