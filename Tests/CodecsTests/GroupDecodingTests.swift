import Codecs
import Support
import Tensors
import Testing

/// Codes, scales and offsets of 16 × 512 as `dequantize` of `scripts/peers/groups.py` makes them up.
struct MadeUpGroups {
  static let (rows, columns) = (16, 512)

  let scheme: GroupScheme
  let codes: ByteBuffer
  let grid: BlockScales

  /// - Parameter type: of the scales where they have the weights' type.
  init(_ scheme: GroupScheme, type: ElementType) {
    let (rows, columns) = (MadeUpGroups.rows, MadeUpGroups.columns)
    let groups = rows * scheme.groups(columns: columns)
    self.scheme = scheme
    codes = memory(MadeUpGroups.bytes(rows * scheme.codeBytes(columns: columns), seed: 5))
    let scaleType = scheme.scaleType(of: type)
    let scales =
      switch scaleType {
      case .f8E8M0: memory(MadeUpGroups.bytes(groups, seed: 13).map { $0 % 255 })
      case .f8E4M3: memory(MadeUpGroups.bytes(groups, seed: 13).map { $0 % 127 })
      default: stored(NumberSet.scaled.values(count: groups, seed: 13), type)
      }
    let offsetBytes = scheme.offsetBytes(rows: rows, columns: columns, type: type)
    let offsets: ByteBuffer? =
      switch scheme.offsets {
      case .none: nil
      case .biases: stored(NumberSet.normal.values(count: groups, seed: 17), type)
      case .zeroPoints: memory(MadeUpGroups.bytes(offsetBytes, seed: 17))
      }
    grid = scheme.blockScales(
      UnsafeRawBufferPointer(scales.bytes), scaleType: scaleType,
      offsets: offsets.map { UnsafeRawBufferPointer($0.bytes) }, rows: rows, columns: columns,
      globalScale: [.nvfp4, .modelOptNVFP4].contains(scheme) ? 37.5 : 1)
  }

  static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix64(state: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  /// The values of a tile whose rows are as they are stored.
  func values(_ tile: MatrixTile, _ level: KernelLevel) -> ByteBuffer {
    let rowBytes = scheme.codeBytes(columns: MadeUpGroups.columns)
    let bits = scheme.code.bits
    let start = tile.rows.lowerBound * rowBytes + tile.columns.lowerBound * bits / 8
    let count = (tile.rows.count - 1) * rowBytes + (tile.columns.count * bits + 7) / 8
    let values = memory(4 * tile.count)
    grid.decode(
      UnsafeRawBufferPointer(rebasing: codes.bytes[start..<start + count]), type: scheme.code,
      tile: tile, rowBytes: rowBytes, into: values.mutableFloats, level: level)
    return values
  }

  func values(_ level: KernelLevel) -> [Float] {
    Array(values(MatrixTile(rows: 0..<16, width: 512), level).floats)
  }
}

@Suite struct GroupDecodingTests {
  static let answers = Dictionary(grouping: HashedAnswer.read("group-decoded")) { $0.words[0] }

  @Test("the peer's values", arguments: GroupScheme.table, KernelLevel.available)
  func decodesAsPeer(scheme: GroupScheme, level: KernelLevel) throws {
    for answer in try #require(GroupDecodingTests.answers["\(scheme)"]) {
      let type = try #require(ElementType(rawValue: answer.words[1]))
      let values = MadeUpGroups(scheme, type: type).values(level)
      let rounded = numbers(stored(values, type), type)
      #expect(hash(stored(rounded, .f32).bytes) == answer.hash, "\(type)")
    }
  }

  @Test("a tile has the values of the whole", arguments: GroupScheme.table, KernelLevel.available)
  func decodesTiles(scheme: GroupScheme, level: KernelLevel) {
    let made = MadeUpGroups(scheme, type: .bf16)
    let whole = made.values(.plain)
    let tiles = [(0..<1, 8..<512), (3..<7, 40..<41), (15..<16, 0..<509), (2..<9, 496..<512)]
    for (rows, columns) in tiles {
      let part = made.values(MatrixTile(rows: rows, columns: columns, width: 512), level).floats
      let expected = rows.flatMap { row in columns.map { whole[512 * row + $0] } }
      #expect(part.map(\.bitPattern) == expected.map(\.bitPattern), "\(rows) \(columns)")
    }
  }

  @Test("values in other types are rounded once", arguments: KernelLevel.available)
  func converts(level: KernelLevel) throws {
    for scheme in GroupScheme.table {
      let made = MadeUpGroups(scheme, type: .bf16)
      for type in [ElementType.bf16, .f16] {
        let target = memory(2 * 16 * 512)
        made.grid.convert(
          UnsafeRawBufferPointer(made.codes.bytes), type: scheme.code,
          tile: MatrixTile(rows: 0..<16, width: 512), to: type, into: target.bytes, level: level)
        #expect(difference(target, stored(made.values(.plain), type)) == nil)
      }
    }
  }

  @Test("products take codes as they are", arguments: GroupScheme.table, KernelLevel.available)
  func multiplies(scheme: GroupScheme, level: KernelLevel) {
    let made = MadeUpGroups(scheme, type: .bf16)
    let plain = WeightMatrix(
      type: .f32, rows: 16, columns: 512, storage: stored(made.values(.plain), .f32))
    let packed = WeightMatrix(
      type: scheme.code, rows: 16, columns: 512, storage: made.codes, scales: made.grid)
    #expect(product(packed, level) == product(plain, level))
  }

  /// Rows of 100 codes in whole words, as one matrix and from a row on that starts inside a block.
  @Test("rows may have room between them", arguments: KernelLevel.available)
  func startsAnywhere(level: KernelLevel) {
    for type in [ElementType.u3, .u4, .u5, .u6, .u8, .f4, .f8E4M3, .i8] {
      let rowBytes = (100 * type.bits + 31) / 32 * 4
      let codes = memory(MadeUpGroups.bytes(40 * rowBytes, seed: 3).map { $0 & 0x77 })
      let scales = NumberSet.normal.values(count: 5 * 4, seed: 4)
      let grid = BlockScales(
        values: scales, offset: .biases(scales.reversed()), blockRows: 8, blockColumns: 30)
      let whole = WeightMatrix(
        type: type, rows: 40, columns: 100, storage: codes, rowBytes: rowBytes, scales: grid)
      let part = WeightMatrix(
        type: type, rows: 29, columns: 100, storage: codes, offset: 11 * rowBytes,
        rowBytes: rowBytes,
        scales: BlockScales(
          values: Array(scales[4...]), offset: .biases(Array(scales.reversed()[4...])),
          blockRows: 8, blockColumns: 30, firstRow: 3))
      let (all, some) = (product(whole, level), product(part, level))
      let lower = (0..<3).flatMap { all[40 * $0 + 11..<40 * $0 + 40] }
      #expect(lower == some)
      #expect(Set(all).count > 100)
    }
  }

  @Test("FP8 blocks may start above the matrix", arguments: [ElementType.bf16, .f32])
  func shiftsBlocks(target: ElementType) {
    let codes = MadeUpGroups.bytes(40 * 96, seed: 3).map { $0 & 0x77 }
    let scales = (1...10).map { Float($0) }
    let step = target.bits / 8
    for level in KernelLevel.available {
      let (all, some) = (memory(40 * 96 * step), memory(28 * 96 * step))
      codes.withUnsafeBytes { codes in
        BlockScales(values: scales, blockRows: 8, blockColumns: 48).convert(
          codes, type: .f8E4M3, tile: MatrixTile(rows: 0..<40, width: 96), to: target,
          into: all.bytes, level: level)
        BlockScales(values: Array(scales[2...]), blockRows: 8, blockColumns: 48, firstRow: 4)
          .convert(
            UnsafeRawBufferPointer(rebasing: codes[(12 * 96)...]), type: .f8E4M3,
            tile: MatrixTile(rows: 0..<28, width: 96), to: target, into: some.bytes, level: level)
      }
      #expect(Array(all.bytes[(12 * 96 * step)...]) == Array(some.bytes))
    }
  }

  /// The bits of x · Wᵀ for three rows of x.
  private func product(_ weights: WeightMatrix, _ level: KernelLevel) -> [UInt32] {
    let x = stored(NumberSet.normal.values(count: 3 * weights.columns, seed: 1), .f32)
    let y = memory(4 * 3 * weights.rows)
    MatrixProduct.multiply(
      FloatMatrix(x.floats.baseAddress!, rows: 3, columns: weights.columns), weights,
      rows: 0..<weights.rows,
      into: MutableFloatMatrix(
        y.mutableFloats.baseAddress!, rows: 3, columns: weights.rows), scratch: ProductScratch(),
      level: level)
    return y.floats.map(\.bitPattern)
  }
}
