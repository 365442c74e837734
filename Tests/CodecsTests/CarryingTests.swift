import Codecs
import Support
import Tensors
import Testing

/// Codes that move between formats: both sides are decoded by what peers have proven.
@Suite struct CarryingTests {
  private static let (rows, columns) = (6, 192)

  private func decode(
    _ scheme: GroupScheme, _ codes: ByteBuffer, _ scales: ByteBuffer, scaleType: ElementType
  ) -> [Float] {
    let (rows, columns) = (CarryingTests.rows, CarryingTests.columns)
    let grid = scheme.blockScales(
      UnsafeRawBufferPointer(scales.bytes), scaleType: scaleType,
      offsets: nil, rows: rows, columns: columns)
    let values = memory(4 * rows * columns)
    grid.decode(
      UnsafeRawBufferPointer(codes.bytes), type: scheme.code,
      tile: MatrixTile(rows: 0..<rows, width: columns), into: values.mutableFloats)
    return Array(values.floats)
  }

  @Test("E2M1 codes go into ggml's blocks and come back", arguments: FP4Blocks.table)
  func packsBlocks(blocks: FP4Blocks) {
    let count = CarryingTests.rows * CarryingTests.columns
    let codes = memory(MadeUpGroups.bytes(count / 2, seed: 3))
    let scales = memory(
      MadeUpGroups.bytes(count / blocks.group, seed: 4).map { $0 % (blocks.largestScale + 1) })
    scales.bytes[0] = blocks.largestScale
    scales.bytes[1] = 0
    #expect(blocks.firstUncarried(UnsafeRawBufferPointer(scales.bytes)) == nil)
    let packed = memory(blocks.type.byteOffset(of: count))
    blocks.pack(
      codes: UnsafeRawBufferPointer(codes.bytes), scales: UnsafeRawBufferPointer(scales.bytes),
      into: packed.bytes)
    let found = memory(4 * count)
    Codec.codec(for: blocks.type)!.decode(
      UnsafeRawBufferPointer(packed.bytes), into: found.mutableFloats)
    let isMX = blocks.type == .mxfp4
    for scheme in isMX ? [GroupScheme.mxfp4, .mlxMXFP4] : [.nvfp4, .mlxNVFP4] {
      let values = decode(
        scheme, codes, scales, scaleType: isMX ? .f8E8M0 : .f8E4M3)
      // As numbers: ggml's zero has no sign.
      #expect(values == Array(found.floats))
    }
    let (codesAgain, scalesAgain) = (memory(codes.count), memory(scales.count))
    blocks.unpackCodes(UnsafeRawBufferPointer(packed.bytes), into: codesAgain.bytes)
    blocks.unpackScales(UnsafeRawBufferPointer(packed.bytes), into: scalesAgain.bytes)
    #expect(difference(codesAgain, codes) == nil)
    #expect(difference(scalesAgain, scales) == nil)
  }

  @Test("scales that are no numbers to ggml are found", arguments: FP4Blocks.table)
  func findsUncarried(blocks: FP4Blocks) {
    for byte in UInt8.min...UInt8.max {
      let packed = memory([UInt8](repeating: 0, count: blocks.type.block!.bytes))
      packed.bytes[0] = byte
      packed.bytes[blocks.scales] = 0x22
      let ggml = numbers(packed, blocks)[0]
      let value = isMX(blocks) ? PowerOfTwo.decode(byte) : SmallFloat.e4m3.decode(UInt32(byte))
      let isSame = ggml == value
      let found = [byte].withUnsafeBytes { blocks.firstUncarried($0) }
      #expect((found == nil) == (isSame && value.sign == .plus), "\(byte): \(ggml), \(value)")
    }
  }

  private func isMX(_ blocks: FP4Blocks) -> Bool { blocks.type == .mxfp4 }

  private func numbers(_ packed: ByteBuffer, _ blocks: FP4Blocks) -> [Float] {
    let values = memory(4 * blocks.type.blockElements).mutableFloats
    Codec.codec(for: blocks.type)!.decode(UnsafeRawBufferPointer(packed.bytes), into: values)
    return Array(values)
  }
}
