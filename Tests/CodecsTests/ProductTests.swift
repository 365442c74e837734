import Codecs
import Tensors
import Testing

/// Sizes (m, k, n) around those of blocks, panels and the depth of a partial sum.
private let sizes: [(Int, Int, Int)] = [
  (1, 1, 1), (1, 256, 32), (1, 700, 95), (5, 257, 33), (12, 300, 64), (13, 255, 31),
  (25, 513, 300), (3, 16, 1), (2, 0, 5), (0, 4, 5), (7, 1025, 17),
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
  static let weightTypes: [ElementType] = [.f32, .bf16, .f16, .f8E4M3, .f8E5M2]

  /// (rows, columns) of random weights as stored, with blocks of 16 × 48 where they are FP8.
  private func weights(
    _ type: ElementType, _ rows: Int, _ columns: Int, _ random: inout Random
  ) -> WeightMatrix {
    let codec = Codec.codec(for: type)!
    let values = random.units(rows * columns)
    let bytes = memory(type.byteCount(elements: values.count)!)
    values.withUnsafeBufferPointer { codec.encode($0, into: bytes.bytes) }
    guard type.bits == 8 else {
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
    for (m, k, n) in sizes {
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

  @Test("both products of values within their bound", arguments: KernelLevel.available)
  func multipliesValues(level: KernelLevel) {
    var random = Random(seed: 12)
    let scratch = ProductScratch()
    for (m, k, n) in sizes {
      let a = matrix(m, k, &random)
      let (tall, wide) = (matrix(n, k, &random), matrix(k, n, &random))
      let (one, two) = (result(m, n), result(m, n))
      MatrixProduct.multiplyTransposed(a, tall, into: one, scratch: scratch, level: level)
      MatrixProduct.multiply(a, wide, into: two, scratch: scratch, level: level)
      for row in 0..<m {
        for column in 0..<n {
          let left = (0..<k).map { a.base[row * a.stride + $0] }
          let first = Exact(zip(left, (0..<k).map { tall.base[column * tall.stride + $0] }))
          #expect(first.admits(one.base[row * one.stride + column], count: k))
          let second = Exact(zip(left, (0..<k).map { wide.base[$0 * wide.stride + column] }))
          #expect(second.admits(two.base[row * two.stride + column], count: k))
        }
      }
      _ = (elements(one), elements(two))
    }
  }

  @Test(
    "an element depends on its row and column alone", arguments: weightTypes, KernelLevel.available)
  func dividesWork(type: ElementType, level: KernelLevel) {
    var random = Random(seed: 13)
    let scratch = ProductScratch()
    let (m, k, n) = (25, 600, 330)
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

  @Test("the vector levels give the same bits", arguments: weightTypes)
  func levelsAgree(type: ElementType) {
    var random = Random(seed: 14)
    let scratch = ProductScratch()
    let (x, weights) = (matrix(9, 700, &random), weights(type, 77, 700, &random))
    let all = KernelLevel.available.filter { $0 != .plain }.map { level in
      let y = result(9, 77)
      MatrixProduct.multiply(x, weights, rows: 0..<77, into: y, scratch: scratch, level: level)
      return elements(y)
    }
    #expect(all.allSatisfy { $0 == all.first })
  }
}
