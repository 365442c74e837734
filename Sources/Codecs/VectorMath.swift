/// The elementwise and row operations of a forward pass, on F32 values.
///
/// Sums are taken in an order that the length alone fixes. The vector levels agree with each other
/// bit for bit, and with plain Swift within the bounds stated.
public enum VectorMath {
  /// y = weight · (x / √(mean x² + ε)); x, weight, y (n); x and y may be the same memory.
  ///
  /// The squares are summed in F64; relative error of an element at most 2⁻²¹.
  public static func normalize(
    _ x: UnsafeBufferPointer<Float>, weight: UnsafeBufferPointer<Float>, epsilon: Float,
    into y: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    precondition(x.count == weight.count && x.count == y.count && !x.isEmpty)
    var squares = 0.0
    for value in x { squares += Double(value) * Double(value) }
    let factor = 1 / (Float(squares / Double(x.count)) + epsilon).squareRoot()
    for index in 0..<x.count { y[index] = weight[index] * (x[index] * factor) }
  }

  /// values (n) → exp(v − max) / Σ exp(v − max), in place.
  ///
  /// The exponentials are summed in F32; relative error of an element at most (n / 16 + 8) · 2⁻²³
  /// on the vector levels.
  public static func softmax(
    _ values: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    var largest = -Float.infinity
    for value in values { largest = max(largest, value) }
    var sum: Float = 0
    for index in 0..<values.count {
      values[index] = exp(values[index] - largest)
      sum += values[index]
    }
    for index in 0..<values.count { values[index] /= sum }
  }

  /// gate (n), up (n) → gate / (1 + exp(−gate)) · up, in place of gate.
  public static func gate(
    _ gate: UnsafeMutableBufferPointer<Float>, up: UnsafeBufferPointer<Float>,
    level: KernelLevel = .best
  ) {
    precondition(gate.count == up.count)
    for index in 0..<gate.count {
      gate[index] = gate[index] / (1 + exp(-gate[index])) * up[index]
    }
  }

  /// values (n) → 1 / (1 + exp(−v)), in place.
  public static func sigmoid(
    _ values: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    for index in 0..<values.count { values[index] = 1 / (1 + exp(-values[index])) }
  }

  /// y (n) += factor · x (n), rounded after the product and after the sum on every level.
  public static func add(
    _ x: UnsafeBufferPointer<Float>, times factor: Float = 1,
    to y: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    precondition(x.count == y.count)
    for index in 0..<x.count { y[index] += factor * x[index] }
  }

  /// Σ a·b; a, b (n). Error at most n · 2⁻²³ · Σ|a·b|.
  public static func dot(
    _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>, level: KernelLevel = .best
  ) -> Float {
    precondition(a.count == b.count)
    var sum: Float = 0
    for index in 0..<a.count { sum += a[index] * b[index] }
    return sum
  }
}
