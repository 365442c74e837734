internal import Codecs
internal import Locks
internal import Models
internal import Platform
package import Tensors

/// What the weights of a pass were multiplied with: for each column of a matrix the sum of the
/// squares of its inputs over all tokens, which says how much an error in that column matters.
///
/// llama.cpp calls this an importance matrix. Sums are in twice F64's precision, so that neither threads
/// nor groups of tokens show in them. Attention's `kv_b_proj` counts as llama.cpp multiplies with it: the
/// keys' half meets the unrotated part of each head's queries, the values' half the latents that each
/// head has mixed.
package final class InputSums: Sendable {
  /// Which inputs.
  package struct Key: Hashable, Sendable {
    /// The weight's name.
    package let weight: String
    /// Which of its inputs.
    package let part: Part

    /// Names inputs.
    package init(_ weight: String, _ part: Part = .whole) {
      self.weight = weight
      self.part = part
    }
  }

  /// Which inputs of a weight.
  package enum Part: Hashable, Sendable {
    /// Those of the matrix as it is.
    case whole
    /// Of `kv_b_proj`, what a head's keys' half is multiplied with once it is transposed.
    case keyHead(Int)
    /// Of `kv_b_proj`, what a head's values' half is multiplied with after the mixing.
    case valueHead(Int)
  }

  /// Sums over tokens.
  package struct Sums: Sendable {
    /// By column.
    package fileprivate(set) var squares: ColumnSums
    /// Tokens that were summed.
    package fileprivate(set) var tokens: Int
  }

  /// Sums of an expert on some tokens.
  struct ExpertPart: Sendable {
    /// Of what gate and up are multiplied with.
    let input: ColumnSums
    /// Of what down is multiplied with.
    let inner: ColumnSums
  }

  private let sums = Guarded<[Key: Sums]>([:])

  /// Makes sums over no tokens.
  package init() {}

  /// Hands out what has been summed and begins anew.
  package func take() -> [Key: Sums] {
    sums.withLock { sums in
      defer { sums = [:] }
      return sums
    }
  }

  /// Σ x² by column of x (tokens, columns), on this thread.
  static func squares(_ x: FloatMatrix, columns: Range<Int>? = nil) -> ColumnSums {
    let columns = columns ?? 0..<x.columns
    var sums = ColumnSums(columns: columns.count)
    for row in 0..<x.rows { sums.addSquares(of: x.base + row * x.stride + columns.lowerBound) }
    return sums
  }

  func add(_ squares: ColumnSums, rows: Int, to key: Key) {
    sums.withLock { sums in
      guard var old = sums.removeValue(forKey: key) else {
        sums[key] = Sums(squares: squares, tokens: rows)
        return
      }
      old.squares.add(squares)
      old.tokens += rows
      sums[key] = old
    }
  }

  /// `prefix` is that of the expert's matrices.
  func add(_ part: ExpertPart, rows: Int, to prefix: String) {
    for name in ["gate_proj.weight", "up_proj.weight"] {
      add(part.input, rows: rows, to: Key(prefix + name))
    }
    add(part.inner, rows: rows, to: Key(prefix + "down_proj.weight"))
  }

  /// The most bytes that the sums of a layer take, with those of a group of experts that are to be
  /// added, and with what writing a stack takes.
  static func mostBytes(_ config: ModelConfig) -> Int {
    let (hidden, width) = (config.hiddenSize, config.moeIntermediateSize)
    let experts = config.routedExperts * 2 * (2 * hidden + width)
    let attention =
      config.heads * (config.nopeHeadSize + config.keyValueRank + config.valueHeadSize)
    let streams = config.v4.map { (2 * $0.streams + 6) * hidden } ?? 0
    let rest = 12 * hidden + attention + config.intermediateSize + streams
    // A stack as it is written: added up, in F32 (or F64 for a part), and as bytes.
    let written =
      config.routedExperts * max(hidden, width)
      * (MemoryLayout<DoubleSum>.stride + 4 * MemoryLayout<Double>.stride)
    return (experts + rest) * MemoryLayout<DoubleSum>.stride + written
  }
}

extension Linear {
  /// Takes note of x (tokens, columns) as what these matrices are multiplied with, where that is
  /// asked for.
  func note(_ x: FloatMatrix, for names: [String]) throws(Fault) {
    guard let inputs, x.rows > 0, !names.isEmpty else { return }
    let share = 512
    let count = (x.columns + share - 1) / share
    let parts = Guarded([ColumnSums](repeating: ColumnSums(columns: 0), count: count))
    try Workers.run(threads: threads, count: count) { _, item throws(Fault) in
      let columns = item * share..<min((item + 1) * share, x.columns)
      let squares = InputSums.squares(x, columns: columns)
      parts.withLock { $0[item] = squares }
    }
    var squares = ColumnSums(columns: 0)
    for part in parts.withLock({ $0 }) { squares.append(part) }
    for name in names { inputs.add(squares, rows: x.rows, to: InputSums.Key(name)) }
  }
}
