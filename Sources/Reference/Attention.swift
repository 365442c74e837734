internal import Codecs
internal import Models
internal import Platform
internal import Tensors

/// Multi-head latent attention of one layer, in its decompressed form.
///
/// Keys and values are made from the latent head by head, by the worker that needs them. Turning
/// queries and results into the latent space instead would take as many products per token as
/// making its key and value (rank · (nope + value) each), and then 2 · rank + rope products per pair
/// of tokens where this takes nope + rope + value: 1088 instead of 320 in DeepSeek-V3. The latent form is
/// cheaper only for few new queries over many cached keys, which a pass over whole sequences does
/// not have, at no length.
struct Attention: Sendable {
  let config: ModelConfig
  let linear: Linear
  let rotary: Rotary
  /// `model.layers.N.self_attn.`
  let prefix: String
  /// What chooses the keys that queries see; nil in layers that see all of them, or those that one
  /// before them has chosen.
  var choice: KeyChoice?
  /// ε of the two inner norms: transformers leaves it at its default whatever `rms_norm_eps` says.
  static let innerEpsilon: Float = 1e-6

  /// Some rows of x (tokens, hidden), which are sequences of `lengths`, added to the same rows of
  /// `hidden` once x is not needed any more. The first position of each sequence is `depth`.
  func callAsFunction(
    _ x: NormedRows, rows: Range<Int>, lengths: [Int], depth: Int, addedTo hidden: Activations
  ) throws(Fault) {
    let latents = try latents(x, rows, positions: lengths.flatMap { depth..<depth + $0 })
    if let choice, let sets = hidden.chosenKeys {
      try choice(x, rows: rows, lengths: lengths, latents, into: sets)
    }
    let mixed = try mixed(
      latents, lengths: lengths, seen: hidden.chosenKeys.map { ($0, rows.lowerBound) })
    for block in linear.blocks(of: rows.count) {
      try linear.note(mixed.view(block), for: [prefix + "o_proj.weight"])
      let part = try linear.project(
        mixed.view(block), prefix + "o_proj.weight", outputs: config.hiddenSize,
        bias: config.attentionBias ? prefix + "o_proj.bias" : nil)
      try linear.add(part, to: hidden, from: rows.lowerBound + block.lowerBound)
    }
  }

  var keyValueName: String { prefix + "kv_b_proj.weight" }
  /// The weight that turns `Latents.query` into queries.
  var queryName: String { prefix + (config.queryRank == nil ? "q_proj" : "q_b_proj") + ".weight" }

  /// What the heads are made from.
  struct Latents: Sendable {
    /// (tokens, hidden or query rank): x itself, or its normed low-rank projection.
    let query: Activations
    /// (tokens, rank), normed.
    let keyValue: Activations
    /// (tokens, rope), rotated.
    let sharedKey: Activations
    /// (tokens, rope / 2) each.
    let table: (cosines: Activations, sines: Activations)
    /// Factor on each token's query.
    let queryScales: [Float]
  }

  private func latents(
    _ x: NormedRows, _ rows: Range<Int>, positions: [Int]
  ) throws(Fault) -> Latents {
    func tokens(_ columns: Int) -> Activations {
      Activations(unwrittenRows: rows.count, columns: columns)
    }
    let table = rotary.emptyTable(rows.count)
    try linear.forRows(rows.count) { rotary.fill(table, $0, positions) }
    let latents = Latents(
      query: tokens(config.queryRank ?? config.hiddenSize), keyValue: tokens(config.keyValueRank),
      sharedKey: tokens(config.ropeHeadSize), table: table,
      queryScales: rotary.queryScales(positions: positions))
    for block in linear.blocks(of: rows.count) {
      let part = try x.rows(
        rows.lowerBound + block.lowerBound..<rows.lowerBound + block.upperBound)
      try makeQueryInputs(part, into: latents.query.mutableView(block))
      try makeKeyValues(part, block, latents)
      try note(part, latents.query.view(block))
    }
    return latents
  }

  /// Takes note of x and the queries' latents, some rows of both, as what this layer's matrices and
  /// its indexer's are multiplied with, whether or not the indexer has anything to choose.
  private func note(_ x: Activations, _ query: FloatMatrix) throws(Fault) {
    let first = config.queryRank == nil ? queryName : prefix + "q_a_proj.weight"
    let own = ["wk.weight", "weights_proj.weight"].map { (choice?.prefix ?? "") + $0 }
    try linear.note(
      x.view,
      for: [first, prefix + "kv_a_proj_with_mqa.weight"] + (choice == nil ? [] : own))
    let chosen = choice.map { [$0.prefix + "wq_b.weight"] } ?? []
    try linear.note(query, for: (config.queryRank == nil ? [] : [queryName]) + chosen)
  }

  /// What the heads' query weights multiply, for some rows of x.
  private func makeQueryInputs(
    _ x: Activations, into query: MutableFloatMatrix
  ) throws(Fault) {
    guard let rank = config.queryRank else {
      query.base.update(from: x.values.baseAddress!, count: x.values.count)
      return
    }
    let low = try linear.project(
      x.view, prefix + "q_a_proj.weight", outputs: rank,
      bias: config.attentionBias ? prefix + "q_a_proj.bias" : nil)
    try linear.norm(
      low.view, prefix + "q_a_layernorm.weight", epsilon: Attention.innerEpsilon, into: query)
  }

  /// Latents and shared keys of some rows of x.
  private func makeKeyValues(
    _ x: Activations, _ rows: Range<Int>, _ latents: Latents
  ) throws(Fault) {
    let (rank, rope) = (config.keyValueRank, config.ropeHeadSize)
    // compressed (rows, rank + rope) → latent (rows, rank), shared key (rows, rope)
    let compressed = try linear.project(
      x.view, prefix + "kv_a_proj_with_mqa.weight", outputs: rank + rope,
      bias: config.attentionBias ? prefix + "kv_a_proj_with_mqa.bias" : nil)
    try linear.norm(
      compressed.view(0..<x.rows, columns: 0..<rank), prefix + "kv_a_layernorm.weight",
      epsilon: Attention.innerEpsilon, into: latents.keyValue.mutableView(rows))
    for (row, token) in rows.enumerated() {
      let key = latents.sharedKey[token].baseAddress!
      key.update(from: compressed[row].baseAddress! + rank, count: rope)
      rotary.rotate(key, latents.table.cosines[token], latents.table.sines[token])
    }
    guard let cached = linear.rounds?.cached else { return }
    for latent in [latents.keyValue, latents.sharedKey] {
      cached.apply(to: latent.mutableView(rows))
    }
  }

  /// What the heads see: (tokens, heads · value).
  private func mixed(
    _ latents: Latents, lengths: [Int], seen: (sets: KeySets, first: Int)?
  ) throws(Fault) -> Activations {
    try linear.weights.require(
      queryName, rows: config.heads * config.queryHeadSize, columns: latents.query.columns)
    try linear.weights.require(
      keyValueName, rows: config.heads * (config.nopeHeadSize + config.valueHeadSize),
      columns: config.keyValueRank)
    let tokens = latents.query.rows
    let mixed = Activations(unwrittenRows: tokens, columns: config.heads * config.valueHeadSize)
    let workers = (0..<min(linear.threads, config.heads)).map {
      HeadAttention(self, tokens: tokens, worker: $0)
    }
    try Workers.run(threads: workers.count, count: config.heads) { worker, head throws(Fault) in
      try workers[worker].run(head: head, latents, lengths: lengths, seen: seen, into: mixed)
    }
    return mixed
  }
}
