internal import Codecs
internal import Platform
internal import Tensors

/// Decodes one row of a weight: (columns).
func decodeRow(_ weight: WeightMatrix, row: Int, into values: UnsafeMutableBufferPointer<Float>) {
  let bytes = weight.bytes
  let start = row * weight.columns
  switch weight.type {
  case .f32:
    for column in 0..<weight.columns {
      values[column] = bytes.load(fromByteOffset: 4 * (start + column), as: Float.self)
    }
  case .bf16:
    for column in 0..<weight.columns {
      let bits = bytes.load(fromByteOffset: 2 * (start + column), as: UInt16.self)
      values[column] = Float(bitPattern: UInt32(bits) << 16)
    }
  case .f16:
    for column in 0..<weight.columns {
      values[column] = Float(bytes.load(fromByteOffset: 2 * (start + column), as: Float16.self))
    }
  case .f8E4M3:
    for column in 0..<weight.columns { values[column] = e4m3(bytes[start + column]) }
  default: preconditionFailure("\(weight.type) is no type of weights")
  }
  guard let scales = weight.scales else { return }
  let gridColumns = (weight.columns + scales.blockColumns - 1) / scales.blockColumns
  let grid = row / scales.blockRows * gridColumns
  for column in 0..<weight.columns {
    values[column] *= scales.values[grid + column / scales.blockColumns]
  }
}

private func e4m3(_ byte: UInt8) -> Float {
  let magnitude = byte & 0x7F
  let value: Float =
    magnitude == 0x7F
    ? .nan
    : magnitude < 8
      ? Float(magnitude) * 0x1p-9
      : Float(bitPattern: (UInt32(magnitude) << 20) + (120 << 23))
  return byte & 0x80 == 0 ? value : -value
}

/// y (tokens, rows) = x (tokens, columns) · weightᵀ (columns, rows).
func product(
  _ x: UnsafePointer<Float>, tokens: Int, xStride: Int, _ weight: WeightMatrix,
  into y: UnsafeMutablePointer<Float>, yStride: Int
) {
  let row = Activations(rows: 1, columns: weight.columns)
  for output in 0..<weight.rows {
    decodeRow(weight, row: output, into: row[0])
    let w = UnsafePointer(row[0].baseAddress!)
    for token in 0..<tokens {
      y[token * yStride + output] = dot(x + token * xStride, w, weight.columns)
    }
  }
}

/// Σ a·b over `count` values, in 16 partial sums.
func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
  var lanes = SIMD16<Float>.zero
  var index = 0
  let (a16, b16) = (UnsafeRawPointer(a), UnsafeRawPointer(b))
  while index + 16 <= count {
    lanes +=
      a16.loadUnaligned(fromByteOffset: 4 * index, as: SIMD16<Float>.self)
      * b16.loadUnaligned(fromByteOffset: 4 * index, as: SIMD16<Float>.self)
    index += 16
  }
  var sum = lanes.sum()
  while index < count {
    sum += a[index] * b[index]
    index += 1
  }
  return sum
}

/// x (n) → x / √(mean x² + ε) · weight (n)
func rmsNorm(
  _ x: UnsafeMutableBufferPointer<Float>, _ weight: [Float], epsilon: Float,
  into y: UnsafeMutableBufferPointer<Float>
) {
  var squares = 0.0
  for value in x { squares += Double(value) * Double(value) }
  let factor = 1 / (Float(squares / Double(x.count)) + epsilon).squareRoot()
  for index in 0..<x.count { y[index] = weight[index] * (x[index] * factor) }
}

/// The first `count` values → their exponentials divided by the sum of those.
func softmax(_ values: inout [Float], count: Int) {
  var top = -Float.infinity
  for index in 0..<count { top = max(top, values[index]) }
  var sum: Float = 0
  for index in 0..<count {
    values[index] = Mathematics.exp(values[index] - top)
    sum += values[index]
  }
  for index in 0..<count { values[index] /= sum }
}

/// gate (n), up (n) → silu(gate) · up, in place of gate.
func gated(_ gate: Activations, _ up: Activations) {
  let (gate, up) = (gate.values, up.values)
  for index in 0..<gate.count {
    gate[index] = gate[index] / (1 + Mathematics.exp(-gate[index])) * up[index]
  }
}
