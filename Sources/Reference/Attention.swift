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
    let mixed = Activations(rows: x.rows, columns: config.heads * config.valueHeadSize)
    try Workers.run(threads: linear.threads, count: config.heads) { _, head throws(Fault) in
      let width = config.queryHeadSize
      let query = Activations(rows: x.rows, columns: width)
      linear.multiply(
        queryInput,
        try linear.weights.matrix(queryName, rows: head * width..<(head + 1) * width), into: query)
      for token in 0..<x.rows {
        rotary.rotate(
          query[token].baseAddress! + config.nopeHeadSize, table.cosines[token],
          table.sines[token])
      }
      let keyValue = Activations(rows: x.rows, columns: keyValueWidth)
      linear.multiply(
        latent,
        try linear.weights.matrix(
          keyValueName, rows: head * keyValueWidth..<(head + 1) * keyValueWidth), into: keyValue)
      attend(query, keyValue, sharedKey, lengths: lengths, head: head, into: mixed)
    }
    return try linear.project(
      mixed, prefix + "o_proj.weight", outputs: config.hiddenSize,
      bias: config.attentionBias ? prefix + "o_proj.bias" : nil)
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
    return (
      try linear.norm(
        low, prefix + "q_a_layernorm.weight", epsilon: Attention.innerEpsilon), name
    )
  }

  /// One head: softmax(query (t, nope + rope) · key (t, nope + rope)ᵀ) · value (t, value) into the
  /// head's columns of `mixed`, each token seeing those before it and itself.
  private func attend(
    _ query: Activations, _ keyValue: Activations, _ sharedKey: Activations, lengths: [Int],
    head: Int, into mixed: Activations
  ) {
    let (nope, rope, value) = (config.nopeHeadSize, config.ropeHeadSize, config.valueHeadSize)
    var start = 0
    for length in lengths {
      var weights = [Float](repeating: 0, count: length)
      for token in start..<start + length {
        let q = UnsafePointer(query[token].baseAddress!)
        for other in start...token {
          weights[other - start] =
            (dot(q, keyValue[other].baseAddress!, nope)
              + dot(q + nope, sharedKey[other].baseAddress!, rope)) * rotary.softmaxScale
        }
        softmax(&weights, count: token - start + 1)
        let output = mixed[token].baseAddress! + head * value
        for other in start...token {
          let weight = weights[other - start]
          let v = keyValue[other].baseAddress! + nope
          for index in 0..<value { output[index] += weight * v[index] }
        }
      }
      start += length
    }
  }
}

extension Activations {
  /// A copy of some columns.
  func columns(_ range: Range<Int>) -> Activations {
    let result = Activations(rows: rows, columns: range.count)
    for row in 0..<rows {
      for (target, source) in range.enumerated() { result[row][target] = self[row][source] }
    }
    return result
  }

  /// A copy of some rows.
  func rows(_ indices: [Int]) -> Activations {
    let result = Activations(rows: indices.count, columns: columns)
    for (target, source) in indices.enumerated() {
      _ = result[target].update(fromContentsOf: self[source])
    }
    return result
  }
}
