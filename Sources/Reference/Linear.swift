internal import Codecs
internal import Platform
internal import Tensors

/// Matrix products with weights from a source, row tile by row tile on several threads, and what is
/// done to each row of activations.
///
/// Each output value is computed by one thread in an order that the sizes alone fix, so results do
/// not depend on the number of threads.
///
/// The scratch memory of each worker is kept from call to call, so there is one call at a time.
struct Linear: Sendable {
  let weights: any WeightSource
  let threads: Int
  let level: KernelLevel
  let plan: MemoryPlan
  /// Takes note of what weights are multiplied with; nil where nobody asks.
  let inputs: InputSums?
  /// How activations are rounded; nil where they are not.
  let rounds: Rounds?
  /// Where the time goes; nil where nobody asks.
  let profile: PassProfile?
  private let scratches: [ProductScratch]

  init(
    weights: any WeightSource, threads: Int, level: KernelLevel, plan: MemoryPlan,
    inputs: InputSums? = nil, rounds: Rounds? = nil, profile: PassProfile? = nil
  ) {
    self.inputs = inputs
    self.rounds = rounds
    self.weights = weights
    self.threads = threads
    self.level = level
    self.plan = plan
    self.profile = profile
    scratches = (0..<threads).map { _ in ProductScratch() }
    profile?.watch(scratches)
  }

  /// What one worker works with.
  func scratch(of worker: Int) -> ProductScratch { scratches[worker] }

  /// Rows that a product packs together: a part of a panel costs as much as a whole one.
  static let panel = 32

  /// Rows of a tile that holds no more weights than the plan allows, unless a panel does.
  func tileRows(columns: Int) -> Int {
    max(1, plan.tileValues / max(1, columns) / Linear.panel) * Linear.panel
  }

  /// Rows of a tile: a share of the matrix that is equal for all threads and not too large, of several
  /// for each thread where there are rows enough, as who falls behind lets the others wait for a tile.
  private func tileRows(_ rows: Int, columns: Int) -> Int {
    let largest = tileRows(columns: columns)
    let needed = (rows + largest * threads - 1) / (largest * threads)
    let rounds = max(needed, min(8, rows / (128 * threads)))
    let share = (rows + rounds * threads - 1) / (rounds * threads)
    return (share + Linear.panel - 1) / Linear.panel * Linear.panel
  }

  /// x (tokens, in) · weight (outputs, in) [+ bias (outputs)] → (tokens, outputs)
  func project(
    _ x: FloatMatrix, _ name: String, outputs: Int, bias: String? = nil
  ) throws(Fault) -> Activations {
    let y = Activations(unwrittenRows: x.rows, columns: outputs)
    try project(x, name, into: y.mutableView)
    if let bias {
      let values = try weights.vector(bias, count: outputs)
      for token in 0..<y.rows {
        let row = y[token]
        for output in 0..<outputs { row[output] += values[output] }
      }
    }
    return y
  }

  /// x (tokens, in) · weight (out, in) → y (tokens, out)
  func project(
    _ x: FloatMatrix, _ name: String, into y: MutableFloatMatrix
  ) throws(Fault) {
    try weights.require(name, rows: y.columns, columns: x.columns)
    try project(x, name, rows: 0..<y.columns, into: y)
  }

  /// x (tokens, in) · rows of weight (rows.count, in) → y (tokens, rows.count)
  func project(
    _ x: FloatMatrix, _ name: String, rows: Range<Int>, into y: MutableFloatMatrix
  ) throws(Fault) {
    guard !rows.isEmpty, x.rows > 0 else { return }
    let tile = tileRows(rows.count, columns: x.columns)
    let count = (rows.count + tile - 1) / tile
    try Workers.run(threads: threads, count: count) { worker, item throws(Fault) in
      try Interruption.check()
      let part = item * tile..<min((item + 1) * tile, rows.count)
      try project(x, name, rows: rows, part, into: y, worker: worker)
    }
  }

  /// The same on one thread, which works for itself.
  func projectAlone(
    _ x: FloatMatrix, _ name: String, rows: Range<Int>, into y: MutableFloatMatrix, worker: Int
  ) throws(Fault) {
    let tile = tileRows(columns: x.columns)
    for start in stride(from: 0, to: rows.count, by: tile) {
      let part = start..<min(start + tile, rows.count)
      try project(x, name, rows: rows, part, into: y, worker: worker)
    }
  }

  /// A tile of it: some of the rows.
  private func project(
    _ x: FloatMatrix, _ name: String, rows: Range<Int>, _ part: Range<Int>,
    into y: MutableFloatMatrix, worker: Int
  ) throws(Fault) {
    let weight = try matrix(
      name, rows: rows.lowerBound + part.lowerBound..<rows.lowerBound + part.upperBound,
      worker: worker)
    multiply(x, weight, into: y.columns(part), worker: worker)
  }

  /// Some rows of a weight as they are stored.
  func matrix(_ name: String, rows: Range<Int>, worker: Int) throws(Fault) -> WeightMatrix {
    try scratch(of: worker).timed(\.reading) { () throws(Fault) in
      try weights.matrix(name, rows: rows)
    }
  }

  /// x (tokens, in) · weight (out, in) → y (tokens, out), on this thread.
  func multiply(
    _ x: FloatMatrix, _ weight: WeightMatrix, into y: MutableFloatMatrix, worker: Int
  ) {
    guard let rounds else { return multiplyExactly(x, weight, into: y, worker: worker) }
    rounds.multiply(x, weight.type) { x, rows in
      let part = y.rows(rows)
      multiplyExactly(x, weight, into: part, worker: worker)
      rounds.results?.apply(to: part)
    }
  }

  /// The same, nothing being rounded.
  func multiplyExactly(
    _ x: FloatMatrix, _ weight: WeightMatrix, into y: MutableFloatMatrix, worker: Int
  ) {
    MatrixProduct.multiply(
      x, weight, rows: 0..<weight.rows, into: y, scratch: scratch(of: worker), level: level)
  }
}

extension Linear {
  /// Ranges of rows that go through a product together, as memory allows.
  func blocks(of rows: Int) -> [Range<Int>] {
    stride(from: 0, to: rows, by: plan.rows).map { $0..<min($0 + plan.rows, rows) }
  }

  /// Whole sequences whose rows go through attention together, as memory allows: the rows of each
  /// group, and the lengths of its sequences.
  func groups(of lengths: [Int]) -> [(rows: Range<Int>, lengths: [Int])] {
    var groups: [(rows: Range<Int>, lengths: [Int])] = []
    var start = 0
    for length in lengths where length > 0 {
      if let last = groups.last, last.rows.count + length <= plan.rows {
        groups[groups.count - 1].rows = last.rows.lowerBound..<start + length
        groups[groups.count - 1].lengths.append(length)
      } else {
        groups.append((start..<start + length, [length]))
      }
      start += length
    }
    return groups
  }

  /// Calls `body` with ranges that cover `0..<rows`, a share of them for each thread: for work that
  /// treats every row alone.
  func forRows(_ rows: Int, _ body: @Sendable (Range<Int>) -> Void) throws(Fault) {
    // Fewer rows than this take less time than starting a thread.
    let share = max(32, (rows + threads - 1) / threads)
    let count = (rows + share - 1) / share
    try Workers.run(threads: threads, count: count) { _, item throws(Fault) in
      body(item * share..<min((item + 1) * share, rows))
    }
  }

  /// x (tokens, columns) → x / √(mean x² + ε) · weight (columns) → y, which may be x.
  func norm(
    _ x: FloatMatrix, _ name: String, epsilon: Float, into y: MutableFloatMatrix
  ) throws(Fault) {
    try norm(
      x, weight: try weights.vector(name, count: x.columns), epsilon: epsilon, into: y)
  }

  func norm(
    _ x: FloatMatrix, weight: [Float], epsilon: Float, into y: MutableFloatMatrix
  ) throws(Fault) {
    precondition(x.rows == y.rows && x.columns == y.columns)
    try forRows(x.rows) { rows in
      for token in rows {
        normalize(
          UnsafeBufferPointer(start: x.base + token * x.stride, count: x.columns), weight, epsilon,
          into: y.rows(token..<token + 1))
      }
    }
  }

  /// x (columns) → y (1, columns) on this thread, as `norm` does it.
  func normalize(
    _ x: UnsafeBufferPointer<Float>, _ weight: [Float], _ epsilon: Float,
    into y: MutableFloatMatrix
  ) {
    let target = UnsafeMutableBufferPointer(start: y.base, count: y.columns)
    guard let results = rounds?.results, rounds?.roundsBeforeNormWeights == true else {
      weight.withUnsafeBufferPointer {
        VectorMath.normalize(x, weight: $0, epsilon: epsilon, into: target, level: level)
      }
      rounds?.results?.apply(to: y)
      return
    }
    [Float](repeating: 1, count: weight.count).withUnsafeBufferPointer {
      VectorMath.normalize(x, weight: $0, epsilon: epsilon, into: target, level: level)
    }
    results.apply(to: y)
    for index in target.indices { target[index] *= weight[index] }
    results.apply(to: y)
  }

  /// Rows of x (tokens, columns) from `first` on += y (some of them, columns).
  func add(_ y: Activations, to x: Activations, from first: Int = 0) throws(Fault) {
    precondition(first + y.rows <= x.rows && x.columns == y.columns)
    try forRows(y.rows) { rows in
      for row in rows {
        VectorMath.add(UnsafeBufferPointer(y[row]), to: x[first + row], level: level)
      }
      rounds?.results?.apply(
        to: x.mutableView(first + rows.lowerBound..<first + rows.upperBound))
    }
  }

  /// gate, up (tokens, width) → silu(gate) · up, in place of gate; both within `bound` before.
  func gate(_ gate: Activations, up: Activations, rows: Range<Int>, bound: Float? = nil) {
    for token in rows {
      if let bound {
        let (gates, ups) = (gate[token], up[token])
        for index in gates.indices {
          // NaN stays, so that what made it shows.
          if gates[index] > bound { gates[index] = bound }
          if abs(ups[index]) > bound { ups[index] = ups[index] > 0 ? bound : -bound }
        }
      }
      if let rounds, let results = rounds.results {
        let row = gate.mutableView(token..<token + 1)
        rounds.activate(row, results, level: level)
        for index in up[token].indices { gate[token][index] *= up[token][index] }
        results.apply(to: row)
      } else {
        VectorMath.gate(gate[token], up: UnsafeBufferPointer(up[token]), level: level)
      }
    }
  }
}
