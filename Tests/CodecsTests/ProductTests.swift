import Codecs
import Tensors
import Testing

/// Sizes (m, k, n) around those of blocks, panels and the depth of a partial sum.
private let sizes: [(Int, Int, Int)] = [
  (1, 1, 1), (1, 256, 32), (1, 700, 95), (5, 257, 33), (12, 300, 64), (13, 255, 31),
  (25, 513, 300), (3, 16, 1), (2, 512, 40), (2, 0, 5), (0, 4, 5), (7, 1025, 17), (519, 9, 35),
]

/// A product in F64, with the sum of the magnitudes that its error is measured by.
private struct Exact {
  let value: Double
  let magnitude: Double

  init(_ pairs: some Sequence<(Float, Float)>) {
    let terms = pairs.map { Double($0.0) * Double($0.1) }
    value = terms.reduce(0, +)
    magnitude = terms.reduce(0) { $0 + abs($1) }
  }

  /// Whether a sum of `count` terms in F32 is within n · 2⁻²³ · Σ|a·b|.
  func admits(_ sum: Float, count: Int) -> Bool {
    abs(Double(sum) - value) <= Double(count) * 0x1p-23 * magnitude
  }
}

/// (rows, columns) of random values with some room after each row.
private func matrix(_ rows: Int, _ columns: Int, _ random: inout Random) -> FloatMatrix {
  let stride = columns + 3
  let buffer = memory(4 * max(1, rows * stride))
  for index in 0..<rows * stride { buffer.mutableFloats[index] = random.unit() }
  return FloatMatrix(buffer.floats.baseAddress!, rows: rows, columns: columns, stride: stride)
}

private func result(_ rows: Int, _ columns: Int) -> MutableFloatMatrix {
  let buffer = memory(4 * max(1, rows * (columns + 5)))
  buffer.mutableFloats.update(repeating: -7)
  return MutableFloatMatrix(
    buffer.mutableFloats.baseAddress!, rows: rows, columns: columns, stride: columns + 5)
}

/// The bits of the elements; checks that the memory between the rows is as it was.
private func elements(_ c: MutableFloatMatrix) -> [UInt32] {
  (0..<c.rows).flatMap { row in
    for column in c.columns..<c.stride { #expect(c.base[row * c.stride + column] == -7) }
    return (0..<c.columns).map { c.base[row * c.stride + $0].bitPattern }
  }
}

@Suite struct ProductTests {
  static let weightTypes: [ElementType] =
    [.f32, .bf16, .f16, .f8E4M3, .f8E5M2] + blockTypes
  /// One of each family: of 32 and of 256 elements, with offsets, without, from a table.
  static let blockTypes: [ElementType] = [.q80, .q51, .q4K, .q6K, .iq4XS, .iq4NL]

  /// `columns`, or more so that rows are whole blocks.
  private func whole(_ columns: Int, _ type: ElementType) -> Int {
    let size = type.block?.elements ?? 1
    return (columns + size - 1) / size * size
  }

  /// (rows, columns) of random weights as stored, with blocks of 16 × 48 where they are FP8.
  private func weights(
    _ type: ElementType, _ rows: Int, _ columns: Int, _ random: inout Random
  ) -> WeightMatrix {
    let codec = Codec.codec(for: type)!
    let values = random.units(rows * columns)
    let bytes = memory(type.byteCount(elements: values.count)!)
    values.withUnsafeBufferPointer { codec.encode($0, into: bytes.bytes) }
    guard !type.isBlock, type.bits == 8 else {
      return WeightMatrix(type: type, rows: rows, columns: columns, storage: bytes)
    }
    let grid = ((rows + 15) / 16) * ((columns + 47) / 48)
    let scales = BlockScales(
      values: (0..<grid).map { _ in abs(random.unit()) }, blockRows: 16, blockColumns: 48)
    return WeightMatrix(
      type: type, rows: rows, columns: columns, storage: bytes, scales: scales)
  }

  /// The weights in plain F32.
  private func decoded(_ weights: WeightMatrix) -> [Float] {
    let values = memory(4 * weights.rows * weights.columns)
    if let scales = weights.scales {
      scales.decode(
        weights.bytes, type: weights.type,
        tile: MatrixTile(rows: 0..<weights.rows, width: weights.columns),
        into: values.mutableFloats, level: .plain)
    } else {
      Codec.codec(for: weights.type)!.decode(
        weights.bytes, into: values.mutableFloats, level: .plain)
    }
    return Array(values.floats)
  }

  @Test("y = x · Wᵀ within its bound", arguments: weightTypes, KernelLevel.available)
  func multipliesWeights(type: ElementType, level: KernelLevel) {
    var random = Random(seed: 11)
    let scratch = ProductScratch()
    for (m, size, n) in sizes {
      let k = whole(size, type)
      let (x, weights) = (matrix(m, k, &random), weights(type, n, k, &random))
      let y = result(m, n)
      MatrixProduct.multiply(
        x, weights, rows: 0..<n, into: y, scratch: scratch, level: level)
      let w = decoded(weights)
      for token in 0..<m {
        for output in 0..<n {
          let exact = Exact((0..<k).map { (x.base[token * x.stride + $0], w[output * k + $0]) })
          #expect(exact.admits(y.base[token * y.stride + output], count: k))
        }
      }
      _ = elements(y)
    }
  }

  @Test("products with a packed matrix, whole and in part", arguments: KernelLevel.available)
  func multipliesValues(level: KernelLevel) {
    var random = Random(seed: 12)
    for (m, k, n) in sizes where k > 0 {
      let (tall, wide) = (matrix(n, k, &random), matrix(k, n, &random))
      for transposed in [true, false] {
        let packed = PackedMatrix(
          mostDepth: k, mostColumns: n, scratch: ProductScratch(), level: level)
        if transposed { packed.pack(transposed: tall) } else { packed.pack(wide) }
        for (terms, columns) in [(k, n), ((k + 1) / 2, n), (k, (n + 2) / 3)] {
          let a = matrix(m, terms, &random)
          let c = result(m, columns)
          packed.multiply(a, into: c)
          let exact = (0..<m * columns).map { place in
            Exact(
              (0..<terms).map { term in
                let (row, column) = (place / columns, place % columns)
                let right =
                  transposed
                  ? tall.base[column * tall.stride + term] : wide.base[term * wide.stride + column]
                return (a.base[row * a.stride + term], right)
              })
          }
          for (place, sum) in elements(c).enumerated() {
            #expect(exact[place].admits(Float(bitPattern: sum), count: terms))
          }
          let once = elements(c).map { Float(bitPattern: $0) }
          packed.multiply(a, into: c, adding: true)
          for (place, sum) in elements(c).enumerated() {
            let error = abs(Double(Float(bitPattern: sum)) - 2 * exact[place].value)
            #expect(error <= Double(2 * terms + 2) * 0x1p-23 * exact[place].magnitude)
            #expect(terms > 512 || Float(bitPattern: sum) == 2 * once[place])
          }
        }
      }
    }
  }

  @Test("left rows may lie any distance apart", arguments: KernelLevel.available)
  func usesRowsInPlace(level: KernelLevel) {
    var random = Random(seed: 15)
    let b = matrix(300, 70, &random)
    let packed = PackedMatrix(
      mostDepth: 300, mostColumns: 70, scratch: ProductScratch(), level: level)
    packed.pack(b)
    let a = matrix(31, 300, &random)
    for (columns, rowStride) in [(256, 256), (256, 528), (300, 1024)] {
      let other = memory(4 * 31 * rowStride).mutableFloats
      for row in 0..<31 {
        for column in 0..<columns {
          other[row * rowStride + column] = a.base[row * a.stride + column]
        }
      }
      let (one, two) = (result(31, 70), result(31, 70))
      packed.multiply(
        FloatMatrix(a.base, rows: 31, columns: columns, stride: a.stride), into: one)
      packed.multiply(
        FloatMatrix(other.baseAddress!, rows: 31, columns: columns, stride: rowStride), into: two)
      #expect(elements(one) == elements(two))
    }
  }

  @Test(
    "an element depends on its row and column alone", arguments: weightTypes, KernelLevel.available)
  func dividesWork(type: ElementType, level: KernelLevel) {
    var random = Random(seed: 13)
    let scratch = ProductScratch()
    let (m, k, n) = (25, whole(600, type), 330)
    let (x, weights) = (matrix(m, k, &random), weights(type, n, k, &random))
    let whole = result(m, n)
    MatrixProduct.multiply(x, weights, rows: 0..<n, into: whole, scratch: scratch, level: level)
    let parts = result(m, n)
    for rows in [0..<1, 1..<100, 100..<101, 101..<293, 293..<330] {
      for tokens in [0..<1, 1..<8, 8..<25] {
        let some = FloatMatrix(
          x.base + tokens.lowerBound * x.stride, rows: tokens.count, columns: k, stride: x.stride)
        let into = MutableFloatMatrix(
          parts.base + tokens.lowerBound * parts.stride, rows: tokens.count, columns: n,
          stride: parts.stride)
        MatrixProduct.multiply(
          some, weights, rows: rows, into: into, scratch: scratch, level: level)
      }
    }
    #expect(elements(whole) == elements(parts))
  }

  @Test(
    "the vector levels give the same bits", .enabled(if: KernelLevel.available.count > 2),
    arguments: weightTypes)
  func levelsAgree(type: ElementType) {
    var random = Random(seed: 14)
    let scratch = ProductScratch()
    let k = whole(700, type)
    let (x, weights) = (matrix(9, k, &random), weights(type, 77, k, &random))
    let all = KernelLevel.available.filter { $0 != .plain }.map { level in
      let y = result(9, 77)
      MatrixProduct.multiply(x, weights, rows: 0..<77, into: y, scratch: scratch, level: level)
      return elements(y)
    }
    #expect(all.count > 1 && all.allSatisfy { $0 == all.first })
  }
}
