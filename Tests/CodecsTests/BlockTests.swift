import Codecs
import Tensors
import Testing

@Suite struct BlockTests {
  static let targets = [
    Answer(name: "f32", type: .f32), Answer(name: "bf16", type: .bf16),
    Answer(name: "f16", type: .f16),
  ]

  /// (37, 256) with blocks of 16 × 48.
  private func scales() throws -> BlockScales {
    BlockScales(values: Array(try fixture("scaled-scales").floats), blockRows: 16, blockColumns: 48)
  }

  @Test("scaled FP8 has torch's bytes", arguments: targets, KernelLevel.available)
  func convertsAsTorch(answer: Answer, level: KernelLevel) throws {
    let (codes, expected) = (try fixture("scaled-codes"), try fixture("scaled-\(answer.name)"))
    let target = memory(expected.count)
    try scales().convert(
      UnsafeRawBufferPointer(codes.bytes), type: .f8E4M3,
      tile: MatrixTile(rows: 0..<37, width: 256),
      to: answer.type, into: target.bytes, level: level)
    #expect(difference(target, expected) == nil)
    guard answer.type == .f32 else { return }
    let values = memory(expected.count)
    try scales().decode(
      UnsafeRawBufferPointer(codes.bytes), type: .f8E4M3,
      tile: MatrixTile(rows: 0..<37, width: 256),
      into: values.mutableFloats, level: level)
    #expect(difference(values, expected) == nil)
  }

  @Test("a tile has the bytes of the whole", arguments: KernelLevel.available)
  func convertsTiles(level: KernelLevel) throws {
    let (codes, expected) = (try fixture("scaled-codes"), try fixture("scaled-bf16"))
    let tiles = [
      MatrixTile(rows: 5..<6, columns: 40..<200, width: 256),
      MatrixTile(rows: 15..<33, width: 256), MatrixTile(rows: 3..<20, columns: 7..<8, width: 256),
      MatrixTile(rows: 4..<30, columns: 40..<200, width: 256),
    ]
    for tile in tiles {
      var (part, whole) = ([UInt8](), [UInt8]())
      for row in tile.rows {
        let (from, to) = (256 * row + tile.columns.lowerBound, 256 * row + tile.columns.upperBound)
        part += codes.bytes[from..<to]
        whole += expected.bytes[2 * from..<2 * to]
      }
      let target = memory(whole.count)
      try part.withUnsafeBytes {
        try scales().convert(
          $0, type: .f8E4M3, tile: tile, to: .bf16, into: target.bytes, level: level)
      }
      #expect(difference(target, memory(whole)) == nil)
    }
  }

  /// Negative, infinite and NaN scales occur in no sound file, yet must not differ by level.
  @Test("odd scales agree with plain Swift", arguments: targets, KernelLevel.available)
  func oddScales(answer: Answer, level: KernelLevel) throws {
    // Blocks of so many rows that tables pay.
    let height = 10
    let odd = BlockScales(
      values: [-1.5, .infinity, -0.0, 0, -.infinity, 3e38], blockRows: height, blockColumns: 256)
    let tile = MatrixTile(rows: 0..<6 * height, width: 256)
    let codes = [UInt8](0...255) * tile.rows.count
    let bytes = answer.type.byteCount(elements: tile.count)!
    let (plain, fast) = (memory(bytes), memory(bytes))
    codes.withUnsafeBytes {
      odd.convert(
        $0, type: .f8E4M3, tile: tile, to: answer.type, into: plain.bytes, level: .plain)
      odd.convert($0, type: .f8E4M3, tile: tile, to: answer.type, into: fast.bytes, level: level)
    }
    #expect(difference(plain, fast) == nil)
  }

  static let formats: [(String, BlockQuantizer.ScaleFormat)] = [
    ("f32", .f32), ("powers", .powerOfTwo),
  ]

  @Test("quantization has torch's bytes", arguments: formats, KernelLevel.available)
  func quantizesAsTorch(format: (String, BlockQuantizer.ScaleFormat), level: KernelLevel) throws {
    let weights = UnsafeRawBufferPointer(try fixture("quantized-weights").bytes)
    let (scales, codes) = (
      try fixture("quantized-\(format.0)-scales"), try fixture("quantized-\(format.0)-codes")
    )
    let quantizer = BlockQuantizer(blockRows: 16, blockColumns: 32, scaleFormat: format.1)
    let found = memory(scales.count)
    quantizer.findScales(
      weights, type: .bf16, rows: 37, columns: 100, into: found.mutableFloats, level: level)
    #expect(Array(found.floats) == Array(scales.floats))
    let stored = memory(codes.count)
    quantizer.encode(
      weights, type: .bf16, rows: 37, columns: 100, scales: found.floats, into: stored.bytes,
      level: level)
    #expect(difference(stored, codes) == nil)
  }

  @Test("codes survive FP8 → BF16 → FP8", arguments: KernelLevel.available)
  func roundTrips(level: KernelLevel) throws {
    var random = Random(seed: 5)
    let (rows, columns) = (50, 70)
    var codes = random.bytes(rows * columns).map { $0 & 0x7F == 0x7F ? 0x7E : $0 }
    // Every block of 16 × 32 uses the largest code, as quantization leaves it.
    for row in stride(from: 0, to: rows, by: 16) {
      for column in stride(from: 0, to: columns, by: 32) { codes[row * columns + column] = 0xFE }
    }
    let scales = BlockScales(
      values: (0..<12).map { _ in abs(random.unit()) * 1e-3 }, blockRows: 16, blockColumns: 32)
    let weights = memory(2 * codes.count)
    codes.withUnsafeBytes {
      scales.convert(
        $0, type: .f8E4M3, tile: MatrixTile(rows: 0..<rows, width: columns), to: .bf16,
        into: weights.bytes, level: level)
    }
    let source = UnsafeRawBufferPointer(weights.bytes)
    let quantizer = BlockQuantizer(blockRows: 16, blockColumns: 32, scaleFormat: .f32)
    let found = memory(4 * 12)
    quantizer.findScales(
      source, type: .bf16, rows: rows, columns: columns, into: found.mutableFloats, level: level)
    let again = memory(codes.count)
    quantizer.encode(
      source, type: .bf16, rows: rows, columns: columns, scales: found.floats, into: again.bytes,
      level: level)
    #expect(difference(again, memory(codes)) == nil)
  }

  @Test("weights that are not finite show in the scale", arguments: KernelLevel.available)
  func showsNonFinite(level: KernelLevel) {
    var weights = [Float](repeating: 1, count: 300)
    weights[150] = -.infinity
    weights[290] = .nan
    let quantizer = BlockQuantizer(blockRows: 1, blockColumns: 100, scaleFormat: .powerOfTwo)
    let scales = memory(12)
    weights.withUnsafeBytes {
      quantizer.findScales(
        $0, type: .f32, rows: 1, columns: 300, into: scales.mutableFloats, level: level)
    }
    #expect(scales.floats[0] == 0x1p-8)
    #expect(scales.floats[1] == .infinity)
    #expect(scales.floats[2].isNaN)
  }
}

private func * (array: [UInt8], times: Int) -> [UInt8] {
  (0..<times).flatMap { _ in array }
}
