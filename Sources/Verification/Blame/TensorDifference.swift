internal import Codecs
internal import Locks
internal import Models
internal import Platform
internal import Reference
internal import Tensors

/// A tensor whose values the two models have differently.
struct TensorDifference: Sendable {
  let name: String
  let layer: Int?
  let expert: Int?
  /// Σ (candidate − reference)² and Σ reference² over its values.
  let error: Double
  let energy: Double

  var nmse: Double { error / energy }

  /// NMSE of several tensors together.
  static func joined(_ tensors: [TensorDifference]) -> Double {
    tensors.reduce(0) { $0 + $1.error } / tensors.reduce(0) { $0 + $1.energy }
  }
}

/// Weights with those of some names taken from another source.
struct SwappedWeights: WeightSource {
  let base: any WeightSource
  let other: any WeightSource
  let names: Set<String>

  private func source(_ name: String) -> any WeightSource { names.contains(name) ? other : base }

  func size(ofMatrix name: String) throws(Fault) -> (rows: Int, columns: Int) {
    try source(name).size(ofMatrix: name)
  }

  func matrix(_ name: String, rows: Range<Int>) throws(Fault) -> WeightMatrix {
    try source(name).matrix(name, rows: rows)
  }

  func vector(_ name: String) throws(Fault) -> [Float] { try source(name).vector(name) }
}

/// Compares the values of two sources of weights, whatever types they are stored in.
struct WeightComparison: Sendable {
  let reference: any WeightSource
  let candidate: any WeightSource
  let threads: Int

  /// Values of a tile of a matrix at most.
  private static let tileValues = 1 << 20

  /// Bytes that it takes: on each thread a tile of both in F32 and as it is stored, at most in F32.
  static func bytes(threads: Int) -> Int {
    threads * 4 * tileValues * MemoryLayout<Float>.stride
  }

  /// Those of `tensors` whose values differ, in their order. Each is read once from both sources.
  func differences(in tensors: [ExpectedTensor]) throws(Fault) -> [TensorDifference] {
    let found = Guarded([TensorDifference?](repeating: nil, count: tensors.count))
    try Workers.run(threads: threads, count: tensors.count) { _, item throws(Fault) in
      try Interruption.check()
      let difference = try difference(tensors[item])
      found.withLock { $0[item] = difference }
    }
    return found.withLock { $0 }.compactMap { $0 }
  }

  private func difference(_ tensor: ExpectedTensor) throws(Fault) -> TensorDifference? {
    var (error, energy) = (0.0, 0.0)
    func add(_ a: Float, _ b: Float) {
      // NaN on both sides is no difference of the candidate's.
      if a.isNaN && b.isNaN { return }
      let difference = Double(b) - Double(a)
      error += difference * difference
      energy += Double(a) * Double(a)
    }
    if tensor.shape.dimensions.count == 1 {
      let values = (try reference.vector(tensor.name.text), try candidate.vector(tensor.name.text))
      for (a, b) in zip(values.0, values.1) { add(a, b) }
    } else {
      let size = try reference.size(ofMatrix: tensor.name.text)
      guard try candidate.size(ofMatrix: tensor.name.text) == size else { return nil }
      let step = max(1, WeightComparison.tileValues / max(1, size.columns))
      for start in stride(from: 0, to: size.rows, by: step) {
        let rows = start..<min(start + step, size.rows)
        let a = try values(reference, tensor.name.text, rows: rows)
        let b = try values(candidate, tensor.name.text, rows: rows)
        for (x, y) in zip(a.values, b.values) { add(x, y) }
      }
    }
    guard error != 0 else { return nil }
    return TensorDifference(
      name: tensor.name.text, layer: tensor.layer, expert: tensor.expert, error: error,
      energy: energy)
  }

  /// Rows of a matrix in F32: (rows.count, columns).
  func values(
    _ source: any WeightSource, _ name: String, rows: Range<Int>
  ) throws(Fault) -> Activations {
    let matrix = try source.matrix(name, rows: rows)
    let result = Activations(unwrittenRows: matrix.rows, columns: matrix.columns)
    matrix.decode(into: result.values, .best)
    return result
  }
}
