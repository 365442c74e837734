internal import Codecs
internal import Models
internal import Platform

/// What takes the input of one half of a layer out of the residual streams, and puts what it gives
/// back: hyper-connections whose mixing matrix is made doubly stochastic.
///
/// A token's streams, one after the other, are normed as one vector and projected to weights:
/// `pre` (streams) for the sum that is the input, `post` (streams) for what each stream gets of the
/// output, `comb` (streams, streams) for what each gets of the others. Source: transformers 5.23's
/// `DeepseekV4HyperConnection` and `DeepseekV4HyperHead`; the small matrices are computed in F64 here.
struct StreamMixer: Sendable {
  let v4: ModelConfig.DeepSeekV4
  let linear: Linear
  /// ε of the norm (`rms_norm_eps`).
  let epsilon: Float
  /// `model.layers.N.attn_hc.`, or what ends in `hc_head.hc_`.
  let prefix: String

  /// What one half of a layer makes of the streams of some tokens.
  struct Mix: Sendable {
    /// The input: (tokens, hidden).
    let input: Activations
    /// `post`, then `comb` row by row: (tokens, streams + streams²).
    let weights: Activations
  }

  /// x (tokens, streams · hidden) → the input of a half, and the weights of its output.
  func mix(_ x: Activations) throws(Fault) -> Mix {
    let count = v4.streams
    let mix = Mix(
      input: Activations(unwrittenRows: x.rows, columns: x.columns / count),
      weights: Activations(unwrittenRows: x.rows, columns: count + count * count))
    let (base, scale) = try parameters(v4.mixes, scales: 3)
    for rows in linear.blocks(of: x.rows) {
      let raw = try project(x, rows, outputs: v4.mixes)
      try linear.forRows(rows.count) { part in
        for row in part {
          let token = rows.lowerBound + row
          let pre = weigh(raw[row], base, scale, into: mix.weights[token])
          collapse(x[token], pre, into: mix.input[token])
        }
      }
    }
    return mix
  }

  /// The streams of all tokens put together behind the last layer: (tokens, hidden).
  func head(_ x: Activations) throws(Fault) -> Activations {
    let result = Activations(unwrittenRows: x.rows, columns: x.columns / v4.streams)
    let (base, scale) = try parameters(v4.streams, scales: 1)
    for rows in linear.blocks(of: x.rows) {
      let raw = try project(x, rows, outputs: v4.streams)
      try linear.forRows(rows.count) { part in
        for row in part {
          let token = rows.lowerBound + row
          let pre = (0..<v4.streams).map { stream in
            sigmoid(Double(raw[row][stream]) * scale[0] + base[stream]) + Double(v4.streamEpsilon)
          }
          collapse(x[token], pre, into: result[token])
        }
      }
    }
    return result
  }

  /// x (tokens, streams · hidden) becomes post ⊗ output + combᵀ x, output (tokens, hidden).
  func expand(_ output: Activations, _ mix: Mix, into x: Activations) throws(Fault) {
    let (count, size) = (v4.streams, output.columns)
    let level = linear.level
    try linear.forRows(x.rows) { part in
      let old = Activations(unwrittenRows: 1, columns: x.columns)
      for token in part {
        let (weights, target) = (mix.weights[token], x[token])
        _ = old[0].update(fromContentsOf: target)
        target.update(repeating: 0)
        for stream in 0..<count {
          let own = UnsafeMutableBufferPointer(
            rebasing: target[stream * size..<(stream + 1) * size])
          VectorMath.add(
            UnsafeBufferPointer(output[token]), times: weights[stream], to: own, level: level)
          for other in 0..<count {
            VectorMath.add(
              UnsafeBufferPointer(rebasing: old[0][other * size..<(other + 1) * size]),
              times: weights[count + other * count + stream], to: own, level: level)
          }
        }
      }
    }
  }

  private func parameters(
    _ count: Int, scales: Int
  ) throws(Fault) -> (base: [Double], scale: [Double]) {
    (
      try linear.weights.vector(prefix + "base", count: count).map(Double.init),
      try linear.weights.vector(prefix + "scale", count: scales).map(Double.init)
    )
  }

  /// The normed streams of some tokens · fn: (rows.count, outputs).
  private func project(
    _ x: Activations, _ rows: Range<Int>, outputs: Int
  ) throws(Fault) -> Activations {
    let normed = Activations(unwrittenRows: rows.count, columns: x.columns)
    try linear.norm(
      x.view(rows), weight: [Float](repeating: 1, count: x.columns), epsilon: epsilon,
      into: normed.mutableView)
    try linear.note(normed.view, for: [prefix + "fn"])
    return try linear.project(normed.view, prefix + "fn", outputs: outputs)
  }

  /// Weights of a token: `pre` as the result, `post` and `comb` into `weights`.
  private func weigh(
    _ raw: UnsafeMutableBufferPointer<Float>, _ base: [Double], _ scale: [Double],
    into weights: UnsafeMutableBufferPointer<Float>
  ) -> [Double] {
    let count = v4.streams
    let epsilon = Double(v4.streamEpsilon)
    func value(_ index: Int, _ part: Int) -> Double {
      Double(raw[index]) * scale[part] + base[index]
    }
    let pre = (0..<count).map { sigmoid(value($0, 0)) + epsilon }
    for stream in 0..<count { weights[stream] = Float(2 * sigmoid(value(count + stream, 1))) }
    var comb = (0..<count * count).map { value(2 * count + $0, 2) }
    for row in 0..<count {
      let cells = row * count..<(row + 1) * count
      let top = comb[cells].max() ?? 0
      for cell in cells { comb[cell] = Mathematics.exp(comb[cell] - top) }
      let sum = comb[cells].reduce(0, +)
      for cell in cells { comb[cell] = comb[cell] / sum + epsilon }
    }
    StreamMixer.balance(&comb, count, steps: v4.sinkhornSteps, epsilon: epsilon)
    for (index, cell) in comb.enumerated() { weights[count + index] = Float(cell) }
    return pre
  }

  /// Divides columns by their sums, then rows and columns in turn, `steps` times each but for the
  /// rows' first.
  package static func balance(
    _ matrix: inout [Double], _ count: Int, steps: Int, epsilon: Double
  ) {
    func divide(_ cells: (Int, Int) -> Int) {
      for line in 0..<count {
        var sum = epsilon
        for place in 0..<count { sum += matrix[cells(line, place)] }
        for place in 0..<count { matrix[cells(line, place)] /= sum }
      }
    }
    for step in 0..<max(1, steps) {
      if step > 0 { divide { $0 * count + $1 } }
      divide { $1 * count + $0 }
    }
  }

  private func sigmoid(_ x: Double) -> Double { 1 / (1 + Mathematics.exp(-x)) }

  /// Σ over streams of pre · x, into (hidden).
  private func collapse(
    _ x: UnsafeMutableBufferPointer<Float>, _ pre: [Double],
    into target: UnsafeMutableBufferPointer<Float>
  ) {
    target.update(repeating: 0)
    for stream in 0..<v4.streams {
      VectorMath.add(
        UnsafeBufferPointer(
          rebasing: x[stream * target.count..<(stream + 1) * target.count]),
        times: Float(pre[stream]), to: target, level: linear.level)
    }
  }
}
