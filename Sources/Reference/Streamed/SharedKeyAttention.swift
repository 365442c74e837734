internal import Codecs
internal import Models
internal import Platform

/// DeepSeek-V4's attention of one layer: all heads see one key, which is its own value, of the tokens
/// of a window and of compressed entries before them; each head's softmax has a sink beside the keys.
///
/// Heads go through in the groups that the output is projected in, so that of what they give no more
/// than a group's is there at a time. Source: transformers 5.23's `DeepseekV4Attention`.
struct SharedKeyAttention: Sendable {
  let config: ModelConfig
  let v4: ModelConfig.DeepSeekV4
  let linear: Linear
  let rotary: Rotary
  /// `model.layers.N.self_attn.`
  let prefix: String
  let kind: ModelConfig.DeepSeekV4.Kind

  /// What the heads are made from and see.
  struct Latents: Sendable {
    /// (tokens, query rank), normed.
    let query: Activations
    /// (tokens, head), normed and rotated.
    let keys: Activations
    /// (entries, head); none where the layer compresses nothing.
    let entries: Activations?
    /// Entries of each sequence.
    let counts: [Int]
    /// The entries that each token sees; nil where it sees all before it.
    let seen: KeySets?
    /// (tokens, rope / 2) each.
    let table: (cosines: Activations, sines: Activations)
    /// A number for each head.
    let sinks: [Float]
  }

  /// Some rows of x (tokens, hidden), which are sequences of `lengths`, into the same rows of `output`.
  /// The first position of each sequence is `depth`.
  func callAsFunction(
    _ x: NormedRows, rows: Range<Int>, lengths: [Int], depth: Int, into output: Activations
  ) throws(Fault) {
    let latents = try latents(x, rows, lengths: lengths, depth: depth)
    let low = Activations(unwrittenRows: rows.count, columns: v4.outputGroups * v4.outputRank)
    let heads = config.heads / v4.outputGroups
    try linear.weights.require(
      prefix + "q_b_proj.weight", rows: config.heads * config.valueHeadSize,
      columns: latents.query.columns)
    try linear.weights.require(
      prefix + "o_a_proj.weight", rows: low.columns, columns: heads * config.valueHeadSize)
    let mixed = Activations(unwrittenRows: rows.count, columns: heads * config.valueHeadSize)
    let workers = (0..<min(linear.threads, heads)).map {
      SharedKeyHead(self, tokens: rows.count, worker: $0)
    }
    for group in 0..<v4.outputGroups {
      try Workers.run(threads: workers.count, count: heads) { worker, head throws(Fault) in
        try workers[worker].run(
          head: group * heads + head, latents, lengths: lengths,
          into: mixed.mutableView(
            0..<rows.count,
            columns: head * config.valueHeadSize..<(head + 1) * config.valueHeadSize))
      }
      let part = group * v4.outputRank..<(group + 1) * v4.outputRank
      for block in linear.blocks(of: rows.count) {
        try linear.note(mixed.view(block), for: [prefix + "o_a_proj.weight"])
        try linear.project(
          mixed.view(block), prefix + "o_a_proj.weight", rows: part,
          into: low.mutableView(block, columns: part))
      }
    }
    for block in linear.blocks(of: rows.count) {
      try linear.note(low.view(block), for: [prefix + "o_b_proj.weight"])
      try linear.project(
        low.view(block), prefix + "o_b_proj.weight",
        into: output.mutableView(
          rows.lowerBound + block.lowerBound..<rows.lowerBound + block.upperBound))
    }
  }

  /// The matrices that meet a layer's normed input, and those that meet its queries' latents: those of
  /// compressors and indexer too, of which llama.cpp takes every token.
  private var noted: (hidden: [String], query: [String]) {
    var modules = ["q_a_proj", "kv_proj"]
    if kind != .sliding { modules += ["compressor.kv_proj", "compressor.gate_proj"] }
    let indexer = ["kv_proj", "gate_proj", "scorer.weights_proj"]
    if kind == .sparse { modules += indexer.map { "compressor.indexer." + $0 } }
    let queries = ["q_b_proj"] + (kind == .sparse ? ["compressor.indexer.q_b_proj"] : [])
    return (modules.map { prefix + $0 + ".weight" }, queries.map { prefix + $0 + ".weight" })
  }

  /// See `Rounds.cache`: heads of published models are wider than their indexer's.
  private var turnsKeys: Bool { config.keyValueRank == v4.indexHeadSize }

  private func latents(
    _ x: NormedRows, _ rows: Range<Int>, lengths: [Int], depth: Int
  ) throws(Fault) -> Latents {
    let query = Activations(unwrittenRows: rows.count, columns: config.queryRank ?? 0)
    let keys = Activations(unwrittenRows: rows.count, columns: config.keyValueRank)
    let table = rotary.table(positions: lengths.flatMap { depth..<depth + $0 })
    for block in linear.blocks(of: rows.count) {
      let part = try x.rows(
        rows.lowerBound + block.lowerBound..<rows.lowerBound + block.upperBound)
      try linear.note(part.view, for: noted.hidden)
      let low = try linear.project(
        part.view, prefix + "q_a_proj.weight", outputs: query.columns)
      try linear.norm(
        low.view, prefix + "q_a_norm.weight", epsilon: config.rmsNormEpsilon,
        into: query.mutableView(block))
      try linear.note(query.view(block), for: noted.query)
      try linear.project(
        part.view, prefix + "kv_proj.weight", into: keys.mutableView(block))
      try linear.norm(
        keys.view(block), prefix + "kv_norm.weight", epsilon: config.rmsNormEpsilon,
        into: keys.mutableView(block))
      for token in block {
        rotary.rotate(
          keys[token].baseAddress! + config.nopeHeadSize, table.cosines[token], table.sines[token])
      }
      linear.rounds?.cache(keys.mutableView(block), turned: turnsKeys)
    }
    var entries: (entries: Activations, counts: [Int])?
    if let ratio = v4.ratio(of: kind) {
      let compressor = Compressor(
        linear: linear, rotary: rotary, epsilon: config.rmsNormEpsilon,
        prefix: prefix + "compressor.", ratio: ratio, size: config.keyValueRank,
        overlaps: kind == .sparse)
      entries = try compressor(x, rows: rows, lengths: lengths, depth: depth)
      if let entries { linear.rounds?.cache(entries.entries.mutableView, turned: turnsKeys) }
    }
    var seen: KeySets?
    if kind == .sparse {
      let choice = EntryChoice(
        config: config, v4: v4, linear: linear, rotary: rotary,
        prefix: prefix + "compressor.indexer.")
      seen = try choice(x, rows: rows, lengths: lengths, depth: depth, latents: query)
    }
    return Latents(
      query: query, keys: keys, entries: entries?.entries,
      counts: entries?.counts ?? lengths.map { _ in 0 }, seen: seen, table: table,
      sinks: try linear.weights.vector(prefix + "sinks", count: config.heads))
  }

  /// Bytes beside hidden states and the input of the layer.
  static func bytes(
    rows: Int, longest: Int, _ config: ModelConfig, threads: Int, plan: MemoryPlan
  ) -> Int {
    guard let v4 = config.v4 else { return 0 }
    let float = MemoryLayout<Float>.stride
    let block = min(rows, plan.rows)
    let latents =
      rows * ((config.queryRank ?? 0) + config.keyValueRank + config.ropeHeadSize)
      + block * (config.hiddenSize + (config.queryRank ?? 0))
    let mixed =
      rows
      * (config.heads / v4.outputGroups * config.valueHeadSize + v4.outputGroups * v4.outputRank)
    let compressed =
      ModelConfig.DeepSeekV4.Kind.allCases.map { kind in
        v4.ratio(of: kind).map {
          Compressor.bytes(
            tokens: rows, hidden: config.hiddenSize, size: 2 * config.keyValueRank, ratio: $0, plan)
        } ?? 0
      }.max() ?? 0
    return (latents + mixed) * float + compressed
      + EntryChoice.bytes(tokens: rows, longest: longest, config, threads: threads, plan: plan)
      + threads * SharedKeyHead.bytes(tokens: rows, config)
  }
}
