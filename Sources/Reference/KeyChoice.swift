internal import Codecs
internal import Models
internal import Platform
internal import Tensors

/// The lightning indexer of one layer: it scores every key that a query could see and lets it see the
/// best of them.
///
/// Of token s and an earlier one t: score = Σ over heads of w(s)·ReLU(q(s)·k(t)), where q comes of the
/// latent that the attention's own queries come of, k is one normed vector for all heads, both with
/// their first dimensions rotated by the attention's own table, and w = `weights_proj` x / √(heads ·
/// size). Sources: transformers 5.23's `DeepseekV32Indexer` and `GlmMoeDsaIndexer`. DeepSeek's code
/// and llama.cpp turn q and k by an orthonormal Hadamard matrix first, which changes no product, and
/// DeepSeek's rounds them to FP8, which neither transformers nor this does.
///
/// Queries pass by in blocks, keys in smaller ones; beside the keys of all tokens there are the
/// queries of a block, and for each thread the scores of a strip of it. So memory grows with the
/// sequence as the latents do, and not with its square; the bits of `KeySets` alone do that.
struct KeyChoice: Sendable {
  let config: ModelConfig
  let indexer: ModelConfig.Indexer
  let linear: Linear
  let rotary: Rotary
  /// `model.layers.N.self_attn.indexer.`
  let prefix: String

  /// Queries that a worker scores together.
  static let strip = 48
  /// Queries whose heads are there at a time: they are wide, and each round reads `wq_b` again.
  static func queryRows(_ plan: MemoryPlan) -> Int { min(512, max(strip, plan.rows / 2)) }

  /// What is made of each token for others' queries and its own.
  private struct Tokens: Sendable {
    /// (tokens, size), normed and rotated.
    let keys: Activations
    /// (tokens, heads), scaled.
    let weights: Activations
  }

  /// Chooses for some rows of x (tokens, hidden), which are sequences of `lengths`.
  ///
  /// - Parameters:
  ///   - latents: what the attention made of these rows.
  ///   - sets: where the choice goes, under the rows' own numbers.
  func callAsFunction(
    _ x: NormedRows, rows: Range<Int>, lengths: [Int], _ latents: Attention.Latents,
    into sets: KeySets
  ) throws(Fault) {
    let tokens = try tokens(x, rows, latents)
    var start = 0
    for length in lengths {
      for position in 0..<min(length, indexer.topK) {
        sets.setAll(rows.lowerBound + start + position, count: position + 1)
      }
      let step = KeyChoice.queryRows(linear.plan)
      for first in stride(from: min(length, indexer.topK), to: length, by: step) {
        try choose(
          first..<min(first + step, length), of: start, tokens, latents,
          rowsFrom: rows.lowerBound, into: sets)
      }
      start += length
    }
  }

  private func tokens(
    _ x: NormedRows, _ rows: Range<Int>, _ latents: Attention.Latents
  ) throws(Fault) -> Tokens {
    let tokens = Tokens(
      keys: Activations(unwrittenRows: rows.count, columns: indexer.headSize),
      weights: Activations(unwrittenRows: rows.count, columns: indexer.heads))
    let scale = Float(
      Mathematics.pow(Double(indexer.heads), -0.5) * Mathematics.pow(Double(indexer.headSize), -0.5)
    )
    let norm = (
      weight: try linear.weights.vector(prefix + "k_norm.weight", count: indexer.headSize),
      bias: try linear.weights.vector(prefix + "k_norm.bias", count: indexer.headSize)
    )
    for block in linear.blocks(of: rows.count) {
      let part = try x.rows(
        rows.lowerBound + block.lowerBound..<rows.lowerBound + block.upperBound)
      try linear.project(
        part.view, prefix + "wk.weight", into: tokens.keys.mutableView(block))
      try linear.project(
        part.view, prefix + "weights_proj.weight", into: tokens.weights.mutableView(block))
      for token in block {
        KeyChoice.normalize(tokens.keys[token], norm.weight, norm.bias)
        rotate(tokens.keys[token].baseAddress!, token, latents)
        let weights = tokens.weights[token]
        for head in weights.indices { weights[head] *= scale }
      }
      linear.rounds?.cache(tokens.keys.mutableView(block), turned: true)
    }
    return tokens
  }

  private func rotate(
    _ vector: UnsafeMutablePointer<Float>, _ token: Int, _ latents: Attention.Latents
  ) {
    rotary.rotate(
      vector, latents.table.cosines[token], latents.table.sines[token],
      isInterleaved: indexer.ropeInterleaved)
  }

  /// x (n) → (x − mean) / √(variance + ε) · weight + bias, in place, with sums in F64.
  package static func normalize(
    _ x: UnsafeMutableBufferPointer<Float>, _ weight: [Float], _ bias: [Float]
  ) {
    let mean = x.reduce(0.0) { $0 + Double($1) } / Double(x.count)
    let variance = x.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
    let factor = Mathematics.pow(
      variance / Double(x.count) + Double(ModelConfig.Indexer.normEpsilon), -0.5)
    for index in x.indices {
      x[index] = Float((Double(x[index]) - mean) * factor) * weight[index] + bias[index]
    }
  }

  /// Chooses for some queries of the sequence that begins at token `start`.
  private func choose(
    _ positions: Range<Int>, of start: Int, _ tokens: Tokens, _ latents: Attention.Latents,
    rowsFrom first: Int, into sets: KeySets
  ) throws(Fault) {
    let size = indexer.headSize
    let own = start + positions.lowerBound..<start + positions.upperBound
    // queries (positions, heads · size)
    let queries = try linear.project(
      latents.query.view(own), prefix + "wq_b.weight", outputs: indexer.heads * size)
    try linear.forRows(own.count) { rows in
      for row in rows {
        for head in 0..<indexer.heads {
          rotate(queries[row].baseAddress! + head * size, own.lowerBound + row, latents)
        }
      }
    }
    try StripScores.choose(
      indexer.topK, of: tokens.keys.view(start..<start + positions.upperBound), for: queries,
      tokens.weights, from: own.lowerBound, linear: linear, into: sets,
      from: first + own.lowerBound
    ) { positions.lowerBound + $0 + 1 }
  }

  /// Bytes that a choice takes beside the latents, the block of x that keys are made of apart.
  static func bytes(
    tokens: Int, longest: Int, _ config: ModelConfig, threads: Int, plan: MemoryPlan
  ) -> Int {
    guard let indexer = config.indexer, longest > indexer.topK else { return 0 }
    let queries = min(longest, queryRows(plan)) * indexer.heads * indexer.headSize
    let own = tokens * (indexer.headSize + indexer.heads)
    return (own + queries) * MemoryLayout<Float>.stride
      + threads * StripScores.bytes(longest: longest, size: indexer.headSize)
  }
}

/// The scores of a strip of queries, on one thread.
struct StripScores: Sendable {
  /// (queries, keys).
  private let scores: Activations
  private let product: Activations
  private let packed: PackedMatrix
  private let heads: Int
  private let size: Int
  private let level: KernelLevel
  /// Keys that are packed at a time.
  private static let keyBlock = 256

  private init(heads: Int, size: Int, longest: Int, scratch: ProductScratch, level: KernelLevel) {
    (self.heads, self.size, self.level) = (heads, size, level)
    scores = Activations(unwrittenRows: KeyChoice.strip, columns: longest)
    product = Activations(unwrittenRows: KeyChoice.strip, columns: StripScores.keyBlock)
    packed = PackedMatrix(
      mostDepth: size, mostColumns: StripScores.keyBlock, scratch: scratch, level: level)
  }

  static func bytes(longest: Int, size: Int) -> Int {
    KeyChoice.strip * (longest + keyBlock) * MemoryLayout<Float>.stride
      + PackedMatrix.byteCount(mostDepth: size, mostColumns: keyBlock)
  }

  /// Lets queries (n, heads · size), strip by strip on several threads, see the best of the keys
  /// (keys, size) before them.
  ///
  /// - Parameters:
  ///   - count: how many each sees at the most.
  ///   - weights: (tokens, heads), those of the queries from row `first` on.
  ///   - row: the row of `sets` that is the first query's.
  ///   - seen: how many keys there are for a query, by its row; never fewer than for one before.
  static func choose(
    _ count: Int, of keys: FloatMatrix, for queries: Activations, _ weights: Activations,
    from first: Int, linear: Linear, into sets: KeySets, from row: Int,
    seen: @Sendable (_ query: Int) -> Int
  ) throws(Fault) {
    let strips = (queries.rows + KeyChoice.strip - 1) / KeyChoice.strip
    let workers = (0..<min(linear.threads, strips)).map {
      StripScores(
        heads: weights.columns, size: keys.columns, longest: keys.rows,
        scratch: linear.scratch(of: $0), level: linear.level)
    }
    try Workers.run(threads: workers.count, count: strips) { worker, strip throws(Fault) in
      try Interruption.check()
      let own = strip * KeyChoice.strip..<min((strip + 1) * KeyChoice.strip, queries.rows)
      workers[worker].score(
        queries.view(own), weights, from: first + own.lowerBound,
        keys: FloatMatrix(
          keys.base, rows: seen(own.upperBound - 1), columns: keys.columns, stride: keys.stride))
      for query in own {
        let visible = seen(query)
        guard visible > count else {
          sets.setAll(row + query, count: visible)
          continue
        }
        sets.choose(
          row + query,
          UnsafeBufferPointer(
            rebasing: workers[worker].scores[query - own.lowerBound][..<visible]), count: count)
      }
    }
  }

  /// queries (n, heads · size) and the rows of weights (tokens, heads) from `first` on, against keys
  /// (tokens, size): the first n rows of `scores`.
  private func score(
    _ queries: FloatMatrix, _ weights: Activations, from first: Int, keys: FloatMatrix
  ) {
    for start in stride(from: 0, to: keys.rows, by: StripScores.keyBlock) {
      let block = start..<min(start + StripScores.keyBlock, keys.rows)
      packed.pack(
        transposed: FloatMatrix(
          keys.base + start * keys.stride, rows: block.count, columns: size, stride: keys.stride))
      for row in 0..<queries.rows { scores[row][block].update(repeating: 0) }
      for head in 0..<heads {
        packed.multiply(
          FloatMatrix(
            queries.base + head * size, rows: queries.rows, columns: size, stride: queries.stride),
          into: product.mutableView(0..<queries.rows, columns: 0..<block.count))
        for row in 0..<queries.rows {
          VectorMath.addPositive(
            UnsafeBufferPointer(rebasing: product[row][..<block.count]),
            times: weights[first + row][head],
            to: UnsafeMutableBufferPointer(rebasing: scores[row][block]), level: level)
        }
      }
    }
  }
}
