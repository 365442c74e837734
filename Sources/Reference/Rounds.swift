package import Codecs
package import Models
internal import Tensors

extension RuntimeArithmetic {
  /// The network as the runtime computes it from a file, where it reads a config otherwise: llama.cpp
  /// takes YaRN's betas for 32 and 1 and rounds its range of dimensions, never scales sines and
  /// cosines of `deepseek2`, and ranks groups of experts by their two best. What else it does
  /// otherwise is said when a file is written.
  package func reading(_ config: ModelConfig) -> ModelConfig {
    guard self == .llamaCpp else { return config }
    var read = config
    read.yarn?.betaFast = 32
    read.yarn?.betaSlow = 1
    read.yarn?.truncate = true
    if config.architecture.ggufName == "deepseek2" { read.yarn?.attentionFactor = 1 }
    if config.selection == .groupsByBest { read.selection = .groupsByTwoBest }
    return read
  }

  /// How rows are rounded; results are those of ggml's own code for any processor, and of torch.
  package enum Rounding: Equatable {
    /// `Q8_0`: 8-bit codes, 32 values to a scale.
    case bytes
    /// `Q8_K`: 8-bit codes, 256 values to a scale.
    case signedBytes
    /// FP8 (E4M3) codes with a scale per 128 values, of numbers that are BF16 before.
    case fp8(powersOfTwo: Bool)
    case f16, bf16
  }
}

/// A runtime's roundings of one model.
struct Rounds: Sendable {
  let runtime: RuntimeArithmetic
  /// The type of the weights that are not quantized; nil where the config does not say.
  let plain: ElementType?
  /// Whether scales of FP8 are powers of two (`scale_fmt`).
  let powersOfTwo: Bool

  init(_ runtime: RuntimeArithmetic, _ config: ModelConfig) {
    self.runtime = runtime
    plain = config.dataType
    powersOfTwo = config.fp8?.powerOfTwoScales ?? false
  }

  /// What becomes of rows that meet weights of a type; nil where they stay as they are.
  func rounding(for type: ElementType) -> RuntimeArithmetic.Rounding? {
    switch runtime {
    case .llamaCpp:
      switch type {
      case .f16: .f16
      case .bf16: .bf16
      default: type.isBlock ? type.blockElements == 256 ? .signedBytes : .bytes : nil
      }
    case .deepSeekFP8: type == .f8E4M3 ? .fp8(powersOfTwo: powersOfTwo) : .bf16
    case .mlx: cached
    }
  }

  /// What keys and values that wait in a cache become.
  var cached: RuntimeArithmetic.Rounding {
    switch runtime {
    case .llamaCpp: .f16
    case .deepSeekFP8: .bf16
    case .mlx: plain == .f16 ? .f16 : .bf16
    }
  }

  /// Makes of keys (keys, size) what a cache gives back, in place.
  ///
  /// - Parameter turned: whether they are as wide as an indexer's keys. llama.cpp turns such keys by an
  ///   orthonormal Hadamard matrix before it rounds them, and the queries too (`attn_rot_k` in its
  ///   `llama-kv-cache.cpp`); here they are turned back, so that queries stay as they are.
  func cache(_ keys: MutableFloatMatrix, turned: Bool) {
    // Where no matrix of 64 × 64 divides their width it stops, as the table of its limits says.
    let turns = turned && runtime == .llamaCpp && keys.columns % 64 == 0
    if turns { Rounds.turn(keys) }
    cached.apply(to: keys)
    if turns { Rounds.turn(keys) }
  }

  /// x (rows, columns) · H in place, H being as large as the largest power of two that divides the
  /// columns: ±1 / √size, and its own inverse.
  static func turn(_ x: MutableFloatMatrix) {
    let size = x.columns & -x.columns
    let scale = 1 / Float(size).squareRoot()
    for row in 0..<x.rows {
      for block in stride(from: 0, to: x.columns, by: size) {
        let values = UnsafeMutableBufferPointer(start: x.base + row * x.stride + block, count: size)
        var width = 1
        while width < size {
          for start in stride(from: 0, to: size, by: 2 * width) {
            for index in start..<start + width {
              let (a, b) = (values[index], values[index + width])
              (values[index], values[index + width]) = (a + b, a - b)
            }
          }
          width *= 2
        }
        for index in values.indices { values[index] *= scale }
      }
    }
  }

  /// What the results of a product, a norm and a sum become; nil where they stay F32.
  var results: RuntimeArithmetic.Rounding? { runtime == .llamaCpp ? nil : cached }

  /// Whether a norm's result is rounded before it meets the weights, too.
  var roundsBeforeNormWeights: Bool { runtime == .mlx }

  /// x (1, columns) → x / (1 + exp(−x)), rounded as often as the runtime's steps are results.
  func activate(
    _ x: MutableFloatMatrix, _ results: RuntimeArithmetic.Rounding, level: KernelLevel
  ) {
    let values = UnsafeMutableBufferPointer(start: x.base, count: x.columns)
    let shares = Activations(unwrittenRows: 1, columns: x.columns)
    _ = shares[0].update(fromContentsOf: values)
    VectorMath.sigmoid(shares[0], level: level)
    if runtime == .mlx { results.apply(to: shares.mutableView) }
    for index in values.indices { values[index] *= shares[0][index] }
    results.apply(to: x)
  }

  /// Rounds a head's queries (tokens, nope + rope), whose last part is rotated and all of which are
  /// multiplied by `scales` here: mlx-lm scales them as numbers of its type, by such a number, and
  /// others scale what comes of them.
  func scale(_ queries: MutableFloatMatrix, by scales: [Float], rotatedFrom first: Int) {
    let rotated = first..<queries.columns
    results?.apply(to: queries.columns(rotated))
    for row in 0..<queries.rows {
      let values = UnsafeMutableBufferPointer(
        start: queries.base + row * queries.stride, count: queries.columns)
      let scale = runtime == .mlx ? cached.nearest(scales[row]) : scales[row]
      for index in values.indices { values[index] *= scale }
    }
    if runtime == .mlx { cached.apply(to: queries) }
  }

  /// What the products of rotated queries and keys become before the others are added; nil where all
  /// are one sum.
  var rotatedScores: RuntimeArithmetic.Rounding? { runtime == .mlx ? cached : nil }

  /// What becomes of that which meets the two halves of `kv_b_proj`: queries and mixed latents, where
  /// the runtime multiplies those with it, and not the latents of each key.
  func halves(_ types: [ElementType]) -> Halves? {
    guard runtime == .llamaCpp, let key = types.first, let value = types.dropFirst().last else {
      return nil
    }
    return Halves(query: rounding(for: key), mixed: rounding(for: value))
  }

  /// See `halves`.
  struct Halves {
    let query: RuntimeArithmetic.Rounding?
    let mixed: RuntimeArithmetic.Rounding?
  }

  /// Rows that are rounded into a copy together.
  static let rows = 128

  /// Bytes of such a copy, of the widest input that a weight has.
  static func bytes(_ config: ModelConfig) -> Int {
    rows
      * max(
        2 * config.hiddenSize, config.intermediateSize, config.heads * config.valueHeadSize,
        config.queryRank ?? 0, config.moeIntermediateSize * max(1, config.sharedExperts),
        config.v4.map {
          max($0.streams * config.hiddenSize, $0.outputGroups * $0.outputRank)
        } ?? 0)
      * MemoryLayout<Float>.stride
  }

  /// Hands `body` the rows of x as they meet weights of a type, some at a time.
  func multiply(
    _ x: FloatMatrix, _ type: ElementType, _ body: (_ x: FloatMatrix, _ rows: Range<Int>) -> Void
  ) {
    guard let rounding = rounding(for: type) else {
      return body(x, 0..<x.rows)
    }
    for start in stride(from: 0, to: x.rows, by: Rounds.rows) {
      let rows = start..<min(start + Rounds.rows, x.rows)
      let copy = Activations(unwrittenRows: rows.count, columns: x.columns)
      for (row, from) in rows.enumerated() {
        copy[row].baseAddress?.update(from: x.base + from * x.stride, count: x.columns)
      }
      rounding.apply(to: copy.mutableView)
      body(copy.view, rows)
    }
  }
}

extension RuntimeArithmetic.Rounding {
  /// Rounds rows in place.
  package func apply(to x: MutableFloatMatrix) {
    for row in 0..<x.rows {
      apply(to: UnsafeMutableBufferPointer(start: x.base + row * x.stride, count: x.columns))
    }
  }

  /// One number, rounded.
  func nearest(_ value: Float) -> Float {
    var value = value
    withUnsafeMutablePointer(to: &value) {
      apply(to: UnsafeMutableBufferPointer(start: $0, count: 1))
    }
    return value
  }

  private func apply(to row: UnsafeMutableBufferPointer<Float>) {
    switch self {
    case .f16:
      for index in row.indices { row[index] = SmallFloat.f16.nearest(row[index]) }
    case .bf16:
      for index in row.indices { row[index] = BFloat16.decode(BFloat16.encode(row[index])) }
    case .bytes: forBlocks(of: 32, in: row, roundToBytes)
    case .signedBytes: forBlocks(of: 256, in: row, roundToSignedBytes)
    case .fp8(let powersOfTwo):
      forBlocks(of: 128, in: row) { roundToFP8($0, powersOfTwo: powersOfTwo) }
    }
  }

  private func forBlocks(
    of size: Int, in row: UnsafeMutableBufferPointer<Float>,
    _ round: (UnsafeMutableBufferPointer<Float>) -> Void
  ) {
    for start in stride(from: 0, to: row.count, by: size) {
      round(UnsafeMutableBufferPointer(rebasing: row[start..<min(start + size, row.count)]))
    }
  }

  /// The largest number becomes 127 and halves go away from zero; codes are found with the exact
  /// scale, and the one that is kept is an F16.
  private func roundToBytes(_ block: UnsafeMutableBufferPointer<Float>) {
    let scale = block.reduce(0) { max($0, abs($1)) } / 127
    let inverse = scale == 0 ? 0 : 1 / scale
    let kept = SmallFloat.f16.nearest(scale)
    for index in block.indices {
      block[index] = (block[index] * inverse).rounded(.toNearestOrAwayFromZero) * kept
    }
  }

  /// The number furthest from zero becomes −127, whatever its sign, and halves go to even.
  private func roundToSignedBytes(_ block: UnsafeMutableBufferPointer<Float>) {
    var furthest: Float = 0
    for value in block where abs(value) > abs(furthest) { furthest = value }
    guard furthest != 0 else { return }
    let inverse = -127 / furthest
    let scale = 1 / inverse
    for index in block.indices {
      block[index] = min(127, (inverse * block[index]).rounded(.toNearestOrEven)) * scale
    }
  }

  /// With the scale that makes the largest number 448, the largest of E4M3, or the power of two above;
  /// numbers below 10⁻⁴ count as that, as `act_quant` has it.
  private func roundToFP8(_ block: UnsafeMutableBufferPointer<Float>, powersOfTwo: Bool) {
    Self.bf16.apply(to: block)
    var scale = block.reduce(1e-4) { max($0, abs($1)) } / 448
    if powersOfTwo, scale.significand != 1 { scale = 2 * scale.binade }
    for index in block.indices {
      block[index] = SmallFloat.e4m3.nearest(block[index] / scale) * scale
    }
  }
}

extension SmallFloat {
  /// The value of the nearest code.
  fileprivate func nearest(_ value: Float) -> Float { decode(encode(value)) }
}
