internal import Codecs
internal import Platform

/// Hidden states as a block takes them: normed where they are used, some rows at a time, because a
/// normed copy of all rows would take as much memory as the states themselves.
struct NormedRows: Sendable {
  private let hidden: Activations
  private let weight: [Float]
  private let epsilon: Float
  private let linear: Linear

  /// `weight` is the name of the norm's vector.
  init(
    _ hidden: Activations, weight: String, epsilon: Float, linear: Linear
  ) throws(Fault) {
    self.hidden = hidden
    self.weight = try linear.weights.vector(weight, count: hidden.columns)
    self.epsilon = epsilon
    self.linear = linear
  }

  /// Tokens.
  var count: Int { hidden.rows }
  /// Values of a token.
  var columns: Int { hidden.columns }

  /// Some rows, by all threads: (rows.count, columns).
  func rows(_ rows: Range<Int>) throws(Fault) -> Activations {
    let result = Activations(unwrittenRows: rows.count, columns: columns)
    try linear.norm(
      hidden.view(rows), weight: weight, epsilon: epsilon, into: result.mutableView)
    return result
  }

  /// Some rows in any order, by this thread: (tokens.count, columns).
  func gather(_ tokens: some Collection<Int>, into result: MutableFloatMatrix) {
    precondition(result.rows == tokens.count && result.columns == columns)
    for (row, token) in tokens.enumerated() {
      linear.normalize(
        UnsafeBufferPointer(hidden[token]), weight, epsilon, into: result.rows(row..<row + 1))
    }
  }
}
