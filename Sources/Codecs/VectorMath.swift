internal import CKernels

/// The elementwise and row operations of a forward pass, on F32 values.
///
/// Sums are taken in an order that the length alone fixes. The vector levels agree with each other
/// bit for bit, and with plain Swift within the bounds stated.
package enum VectorMath {
  /// y = weight · (x / √(mean x² + ε)); x, weight, y (n); x and y may be the same memory.
  ///
  /// The squares are summed in F64; relative error of an element at most 2⁻²¹.
  package static func normalize(
    _ x: UnsafeBufferPointer<Float>, weight: UnsafeBufferPointer<Float>, epsilon: Float,
    into y: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    precondition(x.count == weight.count && x.count == y.count && !x.isEmpty)
    if let kernels = level.kernels {
      kernels.pointee.normalize(
        x.baseAddress!, weight.baseAddress!, epsilon, y.baseAddress!, x.count)
      return
    }
    var squares = 0.0
    for value in x { squares += Double(value) * Double(value) }
    let factor = 1 / (Float(squares / Double(x.count)) + epsilon).squareRoot()
    for index in 0..<x.count { y[index] = weight[index] * (x[index] * factor) }
  }

  /// Whether all values (n) are finite numbers.
  package static func isFinite(
    _ values: UnsafeBufferPointer<Float>, level: KernelLevel = .best
  ) -> Bool {
    if let kernels = level.kernels, let base = values.baseAddress {
      // The bits of what is not finite are larger than any number's.
      return kernels.pointee.amax(base, values.count) < Float.infinity.bitPattern
    }
    return values.allSatisfy(\.isFinite)
  }

  /// The largest of values (n); −∞ where there is none. NaN is passed over.
  package static func largest(
    _ values: UnsafeBufferPointer<Float>, level: KernelLevel = .best
  ) -> Float {
    if let kernels = level.kernels, let base = values.baseAddress {
      return kernels.pointee.largest(base, values.count)
    }
    var largest = -Float.infinity
    for value in values { largest = max(largest, value) }
    return largest
  }

  /// values (n) → exp(v − largest), in place; returns their sum, the divisor of a softmax.
  ///
  /// Relative error of an element at most (4 + |v − largest|) · 2⁻²³, which the difference and the
  /// exponential add up to. The sum adds n / 64 + 6 of these units on the vector levels and n in
  /// plain Swift.
  package static func exponentials(
    _ values: UnsafeMutableBufferPointer<Float>, below largest: Float,
    level: KernelLevel = .best
  ) -> Float {
    if let kernels = level.kernels, let base = values.baseAddress {
      return kernels.pointee.exponentials(base, largest, values.count)
    }
    var sum: Float = 0
    for index in 0..<values.count {
      values[index] = exp(values[index] - largest)
      sum += values[index]
    }
    return sum
  }

  /// values (n) → exp(v − max) / Σ exp(v − max), in place, within the bounds of `exponentials`, twice
  /// that of its sum, and one more rounding.
  package static func softmax(
    _ values: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    let top = largest(UnsafeBufferPointer(values), level: level)
    let sum = exponentials(values, below: top, level: level)
    for index in 0..<values.count { values[index] /= sum }
  }

  /// gate (n), up (n) → gate / (1 + exp(−gate)) · up, in place of gate.
  package static func gate(
    _ gate: UnsafeMutableBufferPointer<Float>, up: UnsafeBufferPointer<Float>,
    level: KernelLevel = .best
  ) {
    precondition(gate.count == up.count)
    if let kernels = level.kernels, let base = gate.baseAddress {
      kernels.pointee.gate(base, up.baseAddress!, gate.count)
      return
    }
    for index in 0..<gate.count {
      gate[index] = gate[index] / (1 + exp(-gate[index])) * up[index]
    }
  }

  /// values (n) → 1 / (1 + exp(−v)), in place.
  package static func sigmoid(
    _ values: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    if let kernels = level.kernels, let base = values.baseAddress {
      kernels.pointee.sigmoid(base, values.count)
      return
    }
    for index in 0..<values.count { values[index] = 1 / (1 + exp(-values[index])) }
  }

  /// y (n) += factor · x (n), rounded after the product and after the sum on every level.
  package static func add(
    _ x: UnsafeBufferPointer<Float>, times factor: Float = 1,
    to y: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    precondition(x.count == y.count)
    if let kernels = level.kernels, let base = x.baseAddress {
      kernels.pointee.add(base, factor, y.baseAddress!, x.count)
      return
    }
    for index in 0..<x.count { y[index] += factor * x[index] }
  }

  /// y (n) += factor · max(x (n), 0), rounded after the product and after the sum on every level.
  package static func addPositive(
    _ x: UnsafeBufferPointer<Float>, times factor: Float,
    to y: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    precondition(x.count == y.count)
    if let kernels = level.kernels, let base = x.baseAddress {
      kernels.pointee.add_positive(base, factor, y.baseAddress!, x.count)
      return
    }
    for index in 0..<x.count { y[index] += factor * (x[index] > 0 ? x[index] : 0) }
  }

  /// Σ a·b; a, b (n). Error at most n · 2⁻²³ · Σ|a·b|.
  package static func dot(
    _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>, level: KernelLevel = .best
  ) -> Float {
    precondition(a.count == b.count)
    if let kernels = level.kernels, let base = a.baseAddress {
      return kernels.pointee.dot(base, b.baseAddress!, a.count)
    }
    var sum: Float = 0
    for index in 0..<a.count { sum += a[index] * b[index] }
    return sum
  }
}
