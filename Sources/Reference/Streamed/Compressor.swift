internal import Codecs
internal import Models
internal import Platform

/// Makes one key of several tokens: the sum of what each projects to, weighed in every dimension by a
/// softmax over the tokens' gates, normed, and rotated by the position of its first token.
///
/// Where entries overlap, each is made of the first half of what the tokens before its own project to
/// and the second half of what its own do; the first entry has its own tokens alone. Tokens behind the
/// last whole entry are in none. Source: transformers 5.23's `DeepseekV4HCACompressor`,
/// `DeepseekV4CSACompressor` and `DeepseekV4Indexer`.
struct Compressor: Sendable {
  let linear: Linear
  let rotary: Rotary
  /// ε of the norm.
  let epsilon: Float
  /// `model.layers.N.self_attn.compressor.`, or with `indexer.` behind it.
  let prefix: String
  /// Tokens of an entry.
  let ratio: Int
  /// Values of an entry, the last of which are rotated.
  let size: Int
  let overlaps: Bool

  private var width: Int { overlaps ? 2 * size : size }

  /// The entries of the sequences that some rows of x (tokens, hidden) are: (entries, size), and the
  /// number of each sequence's.
  func callAsFunction(
    _ x: NormedRows, rows: Range<Int>, lengths: [Int], depth: Int
  ) throws(Fault) -> (entries: Activations, counts: [Int]) {
    let counts = lengths.map { $0 / ratio }
    let entries = Activations(unwrittenRows: counts.reduce(0, +), columns: size)
    var (start, first) = (rows.lowerBound, 0)
    for (length, count) in zip(lengths, counts) {
      // Whole entries, as many tokens at a time as go through a product together.
      let step = max(1, linear.plan.rows / ratio)
      for entry in stride(from: 0, to: count, by: step) {
        let part = entry..<min(entry + step, count)
        try make(
          part, x, from: start,
          into: entries.mutableView(first + part.lowerBound..<first + part.upperBound))
      }
      try finish(entries, first..<first + count, depth: depth)
      (start, first) = (start + length, first + count)
    }
    return (entries, counts)
  }

  /// Bytes that it takes for so many tokens, entries included.
  static func bytes(tokens: Int, hidden: Int, size: Int, ratio: Int, _ plan: MemoryPlan) -> Int {
    let block = min(tokens, max(plan.rows, ratio) + ratio)
    return (block * (hidden + 4 * size) + tokens / ratio * size) * MemoryLayout<Float>.stride
  }

  /// Sums of some entries of the sequence that begins at row `start`.
  private func make(
    _ part: Range<Int>, _ x: NormedRows, from start: Int, into target: MutableFloatMatrix
  ) throws(Fault) {
    // With the tokens of the entry before, where entries overlap.
    let before = overlaps && part.lowerBound > 0 ? 1 : 0
    let tokens = (part.lowerBound - before) * ratio..<part.upperBound * ratio
    let own = try x.rows(start + tokens.lowerBound..<start + tokens.upperBound)
    let keys = try linear.project(own.view, prefix + "kv_proj.weight", outputs: width)
    let gates = try linear.project(own.view, prefix + "gate_proj.weight", outputs: width)
    let bias = try linear.weights.vector(prefix + "position_bias", count: ratio * width)
    try linear.forRows(part.count) { entries in
      for entry in entries {
        let result = target.base + entry * target.stride
        let first = (entry + before) * ratio
        for column in 0..<size {
          var sum = SoftmaxSum()
          if overlaps, first >= ratio {
            for place in 0..<ratio {
              let row = first - ratio + place
              sum.add(
                keys[row][column], gate: gates[row][column] + bias[place * width + column])
            }
          }
          let own = width - size + column
          for place in 0..<ratio {
            sum.add(
              keys[first + place][own], gate: gates[first + place][own] + bias[place * width + own])
          }
          result[column] = sum.value
        }
      }
    }
  }

  /// A sum of numbers weighed by a softmax of their gates, which is corrected as larger gates turn up.
  private struct SoftmaxSum {
    private var largest = -Float.infinity
    private var weights = 0.0
    private var sum = 0.0

    mutating func add(_ number: Float, gate: Float) {
      if gate > largest {
        let kept = largest == -.infinity ? 0 : Mathematics.exp(Double(largest) - Double(gate))
        (weights, sum, largest) = (weights * kept, sum * kept, gate)
      }
      let weight = Mathematics.exp(Double(gate) - Double(largest))
      weights += weight
      sum += weight * Double(number)
    }

    var value: Float { Float(sum / weights) }
  }

  /// Norms and rotates the entries of a sequence.
  private func finish(
    _ entries: Activations, _ rows: Range<Int>, depth: Int
  ) throws(Fault) {
    guard !rows.isEmpty else { return }
    try linear.norm(
      entries.view(rows), prefix + "kv_norm.weight", epsilon: epsilon,
      into: entries.mutableView(rows))
    let table = rotary.table(positions: (0..<rows.count).map { depth + $0 * ratio })
    let start = size - 2 * rotary.frequencies.count
    for (entry, row) in rows.enumerated() {
      rotary.rotate(
        entries[row].baseAddress! + start, table.cosines[entry], table.sines[entry])
    }
  }
}
