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
  let config: DeepSeekV3Config
  let linear: Linear
  let rotary: Rotary
  /// `model.layers.N.self_attn.`
  let prefix: String
  /// ε of the two inner norms: transformers leaves it at its default whatever `rms_norm_eps` says.
  static let innerEpsilon: Float = 1e-6

  /// x (tokens, hidden) → (tokens, hidden); `lengths` tokens per sequence, `positions` for all.
  func callAsFunction(
    _ x: Activations, lengths: [Int], positions: [Int]
  ) throws(Fault) -> Activations {
    let table = rotary.table(positions: positions)
    let (queryInput, queryName) = try queries(x)
    // compressed (tokens, rank + rope) → latent (tokens, rank), shared key (tokens, rope)
    let compressed = try linear.project(
      x, prefix + "kv_a_proj_with_mqa.weight", outputs: config.keyValueRank + config.ropeHeadSize,
      bias: config.attentionBias ? prefix + "kv_a_proj_with_mqa.bias" : nil)
    let latent = try linear.norm(
      compressed.columns(0..<config.keyValueRank), prefix + "kv_a_layernorm.weight",
      epsilon: Attention.innerEpsilon)
    let sharedKey = compressed.columns(config.keyValueRank..<compressed.columns)
    for token in 0..<x.rows {
      rotary.rotate(sharedKey[token].baseAddress!, table.cosines[token], table.sines[token])
    }
    let keyValueWidth = config.nopeHeadSize + config.valueHeadSize
    try linear.weights.require(
      keyValueName, rows: config.heads * keyValueWidth, columns: config.keyValueRank)
    // (tokens, heads · value)
    let mixed = Activations(unwrittenRows: x.rows, columns: config.heads * config.valueHeadSize)
    let latents = Latents(
      query: queryInput, queryName: queryName, keyValue: latent, sharedKey: sharedKey,
      table: table)
    let workers = (0..<min(linear.threads, config.heads)).map {
      HeadAttention(self, tokens: x.rows, worker: $0)
    }
    try Workers.run(threads: workers.count, count: config.heads) { worker, head throws(Fault) in
      try workers[worker].run(head: head, latents, lengths: lengths, into: mixed)
    }
    return try linear.project(
      mixed, prefix + "o_proj.weight", outputs: config.hiddenSize,
      bias: config.attentionBias ? prefix + "o_proj.bias" : nil)
  }

  var keyValueName: String { prefix + "kv_b_proj.weight" }

  /// What the heads are made from.
  struct Latents: Sendable {
    /// (tokens, hidden or query rank)
    let query: Activations
    /// The weight that turns it into queries.
    let queryName: String
    /// (tokens, rank)
    let keyValue: Activations
    /// (tokens, rope), rotated.
    let sharedKey: Activations
    /// (tokens, rope / 2) each.
    let table: (cosines: Activations, sines: Activations)
  }

  /// What the heads' query weights multiply: x itself, or its normed low-rank projection.
  private func queries(_ x: Activations) throws(Fault) -> (input: Activations, weight: String) {
    let outputs = config.heads * config.queryHeadSize
    guard let rank = config.queryRank else {
      let name = prefix + "q_proj.weight"
      try linear.weights.require(name, rows: outputs, columns: config.hiddenSize)
      return (x, name)
    }
    let name = prefix + "q_b_proj.weight"
    try linear.weights.require(name, rows: outputs, columns: rank)
    let low = try linear.project(
      x, prefix + "q_a_proj.weight", outputs: rank,
      bias: config.attentionBias ? prefix + "q_a_proj.bias" : nil)
    let normed = try linear.norm(
      low, prefix + "q_a_layernorm.weight", epsilon: Attention.innerEpsilon)
    return (normed, name)
  }
}
