import Codecs
import Foundation
import Testing

/// Lengths around those of the vectors.
private let lengths = [1, 7, 16, 63, 64, 65, 200, 2049]

/// |value − expected| in units of the last place of F32 there.
private func distance(_ value: Float, _ expected: Double) -> Double {
  let nearest = Float(expected)
  if value == nearest || (value.isNaN && nearest.isNaN) { return 0 }
  if !value.isFinite || !nearest.isFinite { return .infinity }
  return abs(Double(value) - expected) / Double(nearest.ulp)
}

@Suite struct VectorTests {
  private func copy(_ values: [Float]) -> UnsafeMutableBufferPointer<Float> {
    let result = memory(4 * values.count).mutableFloats
    _ = result.update(fromContentsOf: values)
    return result
  }

  @Test("1 / (1 + exp(−x)) within 4 units of the last place", arguments: KernelLevel.available)
  func sigmoids(level: KernelLevel) {
    let inputs =
      stride(from: Float(-90), through: 90, by: 0.0137).map { $0 } + [
        -0.0, -.infinity, .infinity, 1e-30, -103, 200, -200,
      ]
    let values = copy(inputs)
    VectorMath.sigmoid(values, level: level)
    for (x, y) in zip(inputs, values) {
      let expected = 1 / (1 + Foundation.exp(-Double(x)))
      // Below 2⁻¹²⁶ the reciprocal of an overflowed exponential is zero.
      if expected < 0x1p-126 { #expect(y <= 0x1p-126) } else { #expect(distance(y, expected) <= 4) }
    }
    let undefined = copy([.nan])
    VectorMath.sigmoid(undefined, level: level)
    #expect(undefined[0].isNaN)
  }

  @Test("exp(v − largest) and its sum", arguments: KernelLevel.available)
  func exponentials(level: KernelLevel) {
    var random = Random(seed: 21)
    for count in lengths {
      var inputs = random.units(count).map { $0 * 30 }
      if count > 9 { inputs[3] = -.infinity }
      let values = copy(inputs)
      let largest = VectorMath.largest(UnsafeBufferPointer(values), level: level)
      #expect(largest == inputs.max())
      let sum = VectorMath.exponentials(values, below: largest, level: level)
      let exact = inputs.map { Foundation.exp(Double($0) - Double(largest)) }
      var slack = 0.0
      for (index, value) in values.enumerated() where exact[index] > 0 {
        let bound = (4 + Double(largest - inputs[index])) * 0x1p-23 * exact[index]
        #expect(abs(Double(value) - exact[index]) <= bound + 0x1p-149)
        slack += bound
      }
      let terms = level == .plain ? Double(count) : Double(count) / 64 + 6
      let total = exact.reduce(0, +)
      #expect(abs(Double(sum) - total) <= slack + terms * 0x1p-23 * total)
    }
  }

  @Test("NaN is passed over where the largest is looked for", arguments: KernelLevel.available)
  func largestOfUndefined(level: KernelLevel) {
    let values = UnsafeBufferPointer(copy([.nan, -3, .nan, -2]))
    #expect(VectorMath.largest(values, level: level) == -2)
    #expect(VectorMath.largest(UnsafeBufferPointer(copy([.nan])), level: level) == -.infinity)
  }

  @Test("RMS norm of rows", arguments: KernelLevel.available)
  func normalizes(level: KernelLevel) {
    var random = Random(seed: 22)
    for count in lengths {
      let (x, weight) = (random.units(count), random.units(count))
      let y = copy(x)
      let weights = copy(weight)
      VectorMath.normalize(
        UnsafeBufferPointer(y), weight: UnsafeBufferPointer(weights), epsilon: 1e-6, into: y,
        level: level)
      let mean = x.reduce(0) { $0 + Double($1) * Double($1) } / Double(count)
      let factor = 1 / (mean + Double(Float(1e-6))).squareRoot()
      for index in 0..<count {
        let expected = Double(weight[index]) * Double(x[index]) * factor
        #expect(abs(Double(y[index]) - expected) <= 0x1p-21 * abs(expected))
      }
    }
  }

  @Test("silu(gate) · up", arguments: KernelLevel.available)
  func gates(level: KernelLevel) {
    var random = Random(seed: 23)
    for count in lengths {
      let (gate, up) = (random.units(count).map { $0 * 20 }, random.units(count))
      let values = copy(gate)
      VectorMath.gate(values, up: UnsafeBufferPointer(copy(up)), level: level)
      for index in 0..<count {
        let g = Double(gate[index])
        let expected = g / (1 + Foundation.exp(-g)) * Double(up[index])
        #expect(distance(values[index], expected) <= 5)
      }
    }
  }

  @Test("y + factor · x is plain Swift's, bit for bit", arguments: KernelLevel.available)
  func adds(level: KernelLevel) {
    var random = Random(seed: 24)
    for count in lengths {
      let (x, y) = (random.units(count), random.units(count))
      let sum = copy(y)
      VectorMath.add(UnsafeBufferPointer(copy(x)), times: 0.3, to: sum, level: level)
      for index in 0..<count { #expect(sum[index] == y[index] + 0.3 * x[index]) }
    }
  }

  @Test("y + factor · max(x, 0) is plain Swift's, bit for bit", arguments: KernelLevel.available)
  func addsPositiveParts(level: KernelLevel) {
    var random = Random(seed: 26)
    for count in lengths {
      let (x, y) = (random.units(count), random.units(count))
      let sum = copy(y)
      VectorMath.addPositive(UnsafeBufferPointer(copy(x)), times: -0.3, to: sum, level: level)
      for index in 0..<count { #expect(sum[index] == y[index] + -0.3 * max(x[index], 0)) }
    }
  }

  @Test("dot products", arguments: KernelLevel.available)
  func dots(level: KernelLevel) {
    var random = Random(seed: 25)
    for count in lengths {
      let (a, b) = (random.units(count), random.units(count))
      let sum = VectorMath.dot(
        UnsafeBufferPointer(copy(a)), UnsafeBufferPointer(copy(b)), level: level)
      let terms = zip(a, b).map { Double($0) * Double($1) }
      let bound = Double(count) * 0x1p-23 * terms.reduce(0) { $0 + abs($1) }
      #expect(abs(Double(sum) - terms.reduce(0, +)) <= bound)
    }
  }

  @Test("the vector levels give the same bits", .enabled(if: KernelLevel.available.count > 2))
  func levelsAgree() {
    var random = Random(seed: 26)
    let inputs = random.units(2049).map { $0 * 40 }
    let all = KernelLevel.available.filter { $0 != .plain }.map { level in
      let (soft, gated, normed) = (copy(inputs), copy(inputs), copy(inputs))
      let view = UnsafeBufferPointer(copy(inputs))
      let top = VectorMath.largest(view, level: level)
      let total = VectorMath.exponentials(soft, below: top, level: level)
      VectorMath.gate(gated, up: view, level: level)
      VectorMath.normalize(view, weight: view, epsilon: 0, into: normed, level: level)
      let sum = VectorMath.dot(view, view, level: level)
      return (Array(soft) + Array(gated) + Array(normed) + [sum, top, total]).map(\.bitPattern)
    }
    #expect(all.count > 1 && all.allSatisfy { $0 == all.first })
  }
}
