internal import Codecs
internal import Models
internal import Platform
internal import Tensors

/// Multi-head latent attention of one layer, in its decompressed form.
///
/// Keys and values are made from the latent head by head, by the worker that needs them: for a
/// whole sequence this takes fewer operations than attending in the latent space (320 instead of
/// 1088 products per pair of tokens in DeepSeek-V3), and only one head's are in memory at a time.
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
    let keyValueName = prefix + "kv_b_proj.weight"
    let keyValueWidth = config.nopeHeadSize + config.valueHeadSize
    try linear.weights.require(
      keyValueName, rows: config.heads * keyValueWidth, columns: config.keyValueRank)
    // (tokens, heads · value)
    let mixed = Activations(unwrittenRows: x.rows, columns: config.heads * config.valueHeadSize)
    let latents = Latents(query: queryInput, keyValue: latent, sharedKey: sharedKey)
    try Workers.run(threads: linear.threads, count: config.heads) { worker, head throws(Fault) in
      try Interruption.check()
      let (query, key, keyValue) = try self.head(
        head, latents, queryName: queryName, keyValueName: keyValueName, table, worker: worker)
      attend(query, key, keyValue, lengths: lengths, head: head, into: mixed, worker: worker)
    }
    return try linear.project(
      mixed, prefix + "o_proj.weight", outputs: config.hiddenSize,
      bias: config.attentionBias ? prefix + "o_proj.bias" : nil)
  }

  /// What the heads are made from: (tokens, hidden or query rank), (tokens, rank), (tokens, rope).
  private struct Latents: Sendable {
    let query: Activations
    let keyValue: Activations
    let sharedKey: Activations
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

  /// Query (tokens, nope + rope), scaled for the softmax, key (tokens, nope + rope) and key beside
  /// value (tokens, nope + value) of one head.
  private func head(
    _ head: Int, _ latents: Latents, queryName: String, keyValueName: String,
    _ table: (cosines: Activations, sines: Activations), worker: Int
  ) throws(Fault) -> (query: Activations, key: Activations, keyValue: Activations) {
    let tokens = latents.query.rows
    let (width, joint) = (config.queryHeadSize, config.nopeHeadSize + config.valueHeadSize)
    let query = Activations(unwrittenRows: tokens, columns: width)
    let queryWeight = try linear.weights.matrix(
      queryName, rows: head * width..<(head + 1) * width)
    linear.multiply(latents.query, queryWeight, into: query, worker: worker)
    let keyValue = Activations(unwrittenRows: tokens, columns: joint)
    let keyValueWeight = try linear.weights.matrix(
      keyValueName, rows: head * joint..<(head + 1) * joint)
    linear.multiply(latents.keyValue, keyValueWeight, into: keyValue, worker: worker)
    let key = Activations(unwrittenRows: tokens, columns: width)
    for token in 0..<tokens {
      let q = query[token]
      rotary.rotate(
        q.baseAddress! + config.nopeHeadSize, table.cosines[token], table.sines[token])
      for index in 0..<width { q[index] *= rotary.softmaxScale }
      let k = key[token].baseAddress!
      k.update(from: keyValue[token].baseAddress!, count: config.nopeHeadSize)
      (k + config.nopeHeadSize).update(
        from: latents.sharedKey[token].baseAddress!, count: config.ropeHeadSize)
    }
    return (query, key, keyValue)
  }

  /// Queries that are multiplied with all keys before them at a time.
  private static let block = 64

  /// softmax(query · keyᵀ) · value → the head's columns of `mixed` (tokens, heads · value), each
  /// token seeing those of its sequence before it and itself.
  private func attend(
    _ query: Activations, _ key: Activations, _ keyValue: Activations, lengths: [Int], head: Int,
    into mixed: Activations, worker: Int
  ) {
    let scratch = linear.scratch(of: worker)
    let all = 0..<config.queryHeadSize
    let values = config.nopeHeadSize..<keyValue.columns
    let columns = head * config.valueHeadSize..<(head + 1) * config.valueHeadSize
    let scores = Activations(unwrittenRows: Attention.block, columns: lengths.max() ?? 0)
    var start = 0
    for length in lengths {
      for first in stride(from: 0, to: length, by: Attention.block) {
        let end = min(first + Attention.block, length)
        let rows = start + first..<start + end
        // scores (rows, keys up to the last of them)
        MatrixProduct.multiplyTransposed(
          query.view(rows, columns: all), key.view(start..<start + end, columns: all),
          into: scores.mutableView(0..<rows.count, columns: 0..<end), scratch: scratch,
          level: linear.level)
        for row in 0..<rows.count {
          let seen = first + row + 1
          let weights = UnsafeMutableBufferPointer(rebasing: scores[row][..<end])
          VectorMath.softmax(
            UnsafeMutableBufferPointer(rebasing: weights[..<seen]), level: linear.level)
          weights[seen...].update(repeating: 0)
        }
        MatrixProduct.multiply(
          scores.view(0..<rows.count, columns: 0..<end),
          keyValue.view(start..<start + end, columns: values),
          into: mixed.mutableView(rows, columns: columns), scratch: scratch, level: linear.level)
      }
      start += length
    }
  }
}
