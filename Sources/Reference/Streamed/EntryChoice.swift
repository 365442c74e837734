internal import Codecs
internal import Models
internal import Platform

/// The indexer of a layer whose entries stand for few tokens: it scores each that a query could see
/// and lets it see the best of them.
///
/// As `KeyChoice` scores, over keys that a compressor of its own makes, and with the last dimensions
/// rotated. Source: transformers 5.23's `DeepseekV4Indexer`; what its topk leaves open between equal
/// scores, the lower entry wins here.
struct EntryChoice: Sendable {
  let config: ModelConfig
  let v4: ModelConfig.DeepSeekV4
  let linear: Linear
  let rotary: Rotary
  /// `model.layers.N.self_attn.compressor.indexer.`
  let prefix: String

  private var scale: Float {
    Float(Mathematics.pow(Double(v4.indexHeads) * Double(v4.indexHeadSize), -0.5))
  }

  private var compressor: Compressor {
    Compressor(
      linear: linear, rotary: rotary, epsilon: config.rmsNormEpsilon, prefix: prefix,
      ratio: v4.ratios.sparse, size: v4.indexHeadSize, overlaps: true)
  }

  /// Which entries the queries of some rows of x (tokens, hidden), which are sequences of `lengths`,
  /// see; nil where none could see more than are chosen.
  ///
  /// - Parameter latents: (tokens, query rank), what the attention made of these rows.
  func callAsFunction(
    _ x: NormedRows, rows: Range<Int>, lengths: [Int], depth: Int, latents: Activations
  ) throws(Fault) -> KeySets? {
    let longest = (lengths.max() ?? 0) / v4.ratios.sparse
    guard longest > v4.indexTopK else { return nil }
    let (keys, counts) = try compressor(x, rows: rows, lengths: lengths, depth: depth)
    linear.rounds?.cache(keys.mutableView, turned: true)
    let sets = KeySets(rows: rows.count, longest: longest)
    var (start, first) = (0, 0)
    for (length, count) in zip(lengths, counts) {
      let step = KeyChoice.queryRows(linear.plan)
      for position in stride(from: 0, to: length, by: step) {
        try choose(
          position..<min(position + step, length), of: start, x, rowsFrom: rows.lowerBound, depth,
          latents, keys: keys.view(first..<first + count), into: sets)
      }
      (start, first) = (start + length, first + count)
    }
    return sets
  }

  /// Bytes that a choice takes.
  static func bytes(
    tokens: Int, longest: Int, _ config: ModelConfig, threads: Int, plan: MemoryPlan
  ) -> Int {
    guard let v4 = config.v4, longest / v4.ratios.sparse > v4.indexTopK else { return 0 }
    let entries = longest / v4.ratios.sparse
    let queries = min(longest, KeyChoice.queryRows(plan))
    let floats =
      queries * (v4.indexHeads * (v4.indexHeadSize + 1) + config.hiddenSize)
      + threads * KeyChoice.strip * entries
    return floats * MemoryLayout<Float>.stride + tokens * KeySets.bytesPerRow(longest: entries)
      + threads * StripScores.bytes(longest: entries, size: v4.indexHeadSize)
      + Compressor.bytes(
        tokens: tokens, hidden: config.hiddenSize, size: v4.indexHeadSize, ratio: v4.ratios.sparse,
        plan)
  }

  /// Chooses for some queries of the sequence that begins at token `start`.
  private func choose(
    _ positions: Range<Int>, of start: Int, _ x: NormedRows, rowsFrom first: Int, _ depth: Int,
    _ latents: Activations, keys: FloatMatrix, into sets: KeySets
  ) throws(Fault) {
    let (heads, size, ratio) = (v4.indexHeads, v4.indexHeadSize, v4.ratios.sparse)
    @Sendable func seen(_ position: Int) -> Int { (position + 1) / ratio }
    let tokens = start + positions.lowerBound..<start + positions.upperBound
    guard seen(positions.upperBound - 1) > v4.indexTopK else {
      for position in positions { sets.setAll(start + position, count: seen(position)) }
      return
    }
    let queries = try linear.project(
      latents.view(tokens), prefix + "q_b_proj.weight", outputs: heads * size)
    let own = try x.rows(first + tokens.lowerBound..<first + tokens.upperBound)
    let weights = try linear.project(
      own.view, prefix + "scorer.weights_proj.weight", outputs: heads)
    let table = rotary.table(positions: positions.map { depth + $0 })
    let turned = size - 2 * rotary.frequencies.count
    try linear.forRows(tokens.count) { rows in
      for row in rows {
        for head in 0..<heads {
          rotary.rotate(
            queries[row].baseAddress! + head * size + turned, table.cosines[row], table.sines[row])
          weights[row][head] *= scale
        }
      }
    }
    try StripScores.choose(
      v4.indexTopK, of: keys, for: queries, weights, from: 0, linear: linear, into: sets,
      from: tokens.lowerBound
    ) { seen(positions.lowerBound + $0) }
  }
}
