public import Codecs
public import Models
public import Platform
internal import Tensors

/// The forward pass of a DeepSeek-V3-family network in F32, one step at a time.
///
/// Steps are separate so that two networks can run in lock step, and so that one can be fed
/// the other's hidden states. Activations have one row per token of a batch, sequence after
/// sequence. Weights are asked for when they are used and forgotten after it: at any time there
/// are a few tiles of a matrix in memory, or one expert's matrices per thread.
///
/// The mathematics is transformers 5.23's (`DeepseekV3ForCausalLM` and `MtpModel`).
///
/// A network keeps scratch memory for its threads, hence it is not `Sendable`: one call at a time.
public struct Network {
  /// What the network looks like.
  public let config: DeepSeekV3Config
  private let linear: Linear
  private let rotary: Rotary

  /// Prepares the tables that follow from the config; no weight is read.
  public init(
    config: DeepSeekV3Config, weights: any WeightSource, threads: Int = Workers.available,
    level: KernelLevel = .best, plan: MemoryPlan = .generous
  ) {
    self.config = config
    linear = Linear(weights: weights, threads: threads, level: level, plan: plan)
    rotary = Rotary(config)
  }

  /// Embedding of each token: (tokens, hidden).
  ///
  /// - Throws: what reading the table may throw.
  public func embed(_ batch: TokenBatch) throws(Fault) -> Activations {
    try embed(batch.sequences.flatMap { $0 })
  }

  private func embed(_ ids: [Int]) throws(Fault) -> Activations {
    try linear.weights.gather(
      Network.embedding, indices: ids, columns: config.hiddenSize, level: linear.level)
  }

  /// Runs decoder layer `index` on the residual stream (tokens, hidden), in place.
  ///
  /// - Returns: the router's choices, nil for a dense layer.
  /// - Throws: `.malformed` for weights that are missing or have the wrong shape.
  public func layer(
    _ index: Int, hidden: Activations, batch: TokenBatch
  ) throws(Fault) -> Routing? {
    precondition(index < config.layers && hidden.rows == batch.rows())
    return try block(index, hidden: hidden, batch: batch, depth: 0)
  }

  /// The final norm: (tokens, hidden) → (tokens, hidden).
  ///
  /// - Throws: as `layer` does.
  public func finalNorm(_ hidden: Activations) throws(Fault) -> Activations {
    try linear.norm(hidden, "model.norm.weight", epsilon: config.rmsNormEpsilon)
  }

  /// What an MTP layer gives.
  public struct Prediction: Sendable {
    /// The residual stream after its block: (rows of its depth, hidden).
    public let hidden: Activations
    /// That after `shared_head.norm`: what the head and the next MTP layer take.
    public let normed: Activations
    /// The router's choices, nil for a dense block.
    public let routing: Routing?
  }

  /// Runs multi-token predictor `index` (0 for the first): it joins the embedding of the token
  /// after the last one that its input has seen with that input, embedding first.
  ///
  /// As in transformers, embedding and head are the main model's: a layer's own
  /// `embed_tokens.weight` and `shared_head.head.weight` are copies of them that `validate`
  /// compares. A row's rotary position is that of the token whose embedding joins.
  ///
  /// - Parameter previous: the main model's hidden states after the final norm, or the `normed`
  ///   of the predictor before: (rows of depth `index`, hidden).
  /// - Throws: as `layer` does.
  public func predictor(
    _ index: Int, previous: Activations, batch: TokenBatch
  ) throws(Fault) -> Prediction {
    precondition(index < config.mtpLayers && previous.rows == batch.rows(depth: index))
    let depth = index + 1
    let layer = config.layers + index
    let prefix = "model.layers.\(layer)."
    let ids = batch.ids(depth: depth, distance: depth).compactMap { $0 }
    let epsilon = config.rmsNormEpsilon
    let token = try linear.norm(try embed(ids), prefix + "enorm.weight", epsilon: epsilon)
    let state = try linear.norm(
      previous.rows(batch.rowsContinuing(depth: index)), prefix + "hnorm.weight", epsilon: epsilon)
    // (rows, hidden) beside (rows, hidden) → (rows, 2 · hidden)
    let joined = Activations(unwrittenRows: token.rows, columns: 2 * config.hiddenSize)
    for row in 0..<token.rows {
      _ = joined[row].update(fromContentsOf: token[row])
      _ = joined[row][config.hiddenSize...].update(fromContentsOf: state[row])
    }
    let hidden = try linear.project(
      joined, prefix + "eh_proj.weight", outputs: config.hiddenSize)
    let routing = try block(layer, hidden: hidden, batch: batch, depth: depth)
    let normed = try linear.norm(hidden, prefix + "shared_head.norm.weight", epsilon: epsilon)
    return Prediction(hidden: hidden, normed: normed, routing: routing)
  }

  /// Ranges of the vocabulary whose logits are worth computing together: the same for any number
  /// of threads, each a few megabytes of weights.
  public var vocabularyTiles: [Range<Int>] {
    let size = max(1, 4 * MemoryPlan.generous.tileValues / config.hiddenSize)
    return stride(from: 0, to: config.vocabSize, by: size).map {
      $0..<min($0 + size, config.vocabSize)
    }
  }

  /// Logits of part of the vocabulary: normed (tokens, hidden) → (tokens, vocabulary.count), in
  /// the columns of `result` that start with `column`.
  ///
  /// - Throws: as `layer` does.
  public func logits(
    of normed: Activations, vocabulary: Range<Int>, into result: Activations, column: Int = 0
  ) throws(Fault) {
    let name = Network.headName(config)
    try linear.weights.require(name, rows: config.vocabSize, columns: config.hiddenSize)
    try linear.project(
      normed.view, name, rows: vocabulary,
      into: result.mutableView(
        0..<normed.rows, columns: column..<column + vocabulary.count))
  }

  /// Rows whose logits are computed together by `eachLogits`.
  public var logitsRows: Int { MemoryUse.logitsRows(linear.plan) }

  /// Computes the logits of some rows, all of the vocabulary, and hands them on in pieces: one row
  /// and the logits from id `first` on. `body` is called by several threads at once.
  ///
  /// - Throws: as `layer` and `body` do.
  public func eachLogits(
    of normed: Activations, rows: Range<Int>,
    _ body:
      @Sendable (
        _ row: Int, _ first: Int, _ logits: UnsafeBufferPointer<Float>
      ) throws(Fault) -> Void
  ) throws(Fault) {
    let name = Network.headName(config)
    try linear.weights.require(name, rows: config.vocabSize, columns: config.hiddenSize)
    let (linear, vocabSize) = (linear, config.vocabSize)
    let most = max(Linear.panel, linear.plan.tileLogits / max(1, rows.count))
    let rounds = (vocabSize + most * linear.threads - 1) / (most * linear.threads)
    let share = (vocabSize + rounds * linear.threads - 1) / (rounds * linear.threads)
    let size = (share + Linear.panel - 1) / Linear.panel * Linear.panel
    let count = (vocabSize + size - 1) / size
    try Workers.run(threads: linear.threads, count: count) { worker, item throws(Fault) in
      try Interruption.check()
      let part = item * size..<min((item + 1) * size, vocabSize)
      let tile = Activations(unwrittenRows: rows.count, columns: part.count)
      try linear.projectAlone(
        normed.view(rows), name, rows: part, into: tile.mutableView, worker: worker)
      for row in 0..<rows.count {
        try body(
          rows.lowerBound + row, part.lowerBound, UnsafeBufferPointer(tile[row]))
      }
    }
  }

  /// The most bytes that a pass of `rows` tokens takes on some threads: hidden states, all that is
  /// made of them, and the weights in use.
  public static func bytes(
    rows: Int, config: DeepSeekV3Config, threads: Int, plan: MemoryPlan
  ) -> Int {
    MemoryUse(config: config, threads: threads, plan: plan).peak(rows: rows)
  }

  /// What each token more takes of that, times `tokens`.
  public func activationBytes(tokens: Int) -> Int {
    let use = MemoryUse(config: config, threads: linear.threads, plan: linear.plan)
    return use.peak(rows: tokens) - use.peak(rows: 0)
  }

  private static let embedding = "model.embed_tokens.weight"

  private static func headName(_ config: DeepSeekV3Config) -> String {
    config.tiedEmbeddings ? embedding : "lm_head.weight"
  }

  /// The matrices of a layer's attention, in the order of their use.
  private func attentionNames(of layer: Int) -> [String] {
    let query = config.queryRank == nil ? ["q_proj"] : ["q_a_proj", "q_b_proj"]
    // A head's part of q_b_proj is read with its part of kv_b_proj.
    return (query.prefix(1) + ["kv_a_proj_with_mqa"] + query.dropFirst() + ["kv_b_proj", "o_proj"])
      .map { "model.layers.\(layer).self_attn.\($0).weight" }
  }

  /// A decoder layer on rows of `depth`: attention and feed-forward, each on a normed copy.
  private func block(
    _ index: Int, hidden: Activations, batch: TokenBatch, depth: Int
  ) throws(Fault) -> Routing? {
    let prefix = "model.layers.\(index)."
    let following =
      index + 1 < config.layers ? attentionNames(of: index + 1) : [Network.headName(config)]
    let dense =
      config.hasExperts(layer: index)
      ? ["gate.weight"] : FeedForward.parts
    linear.weights.expect(
      attentionNames(of: index) + dense.map { prefix + "mlp." + $0 } + following)
    let epsilon = config.rmsNormEpsilon
    let lengths = batch.lengths(depth: depth)
    let attention = Attention(
      config: config, linear: linear, rotary: rotary, prefix: prefix + "self_attn.")
    let attended = try attention(
      try linear.norm(hidden, prefix + "input_layernorm.weight", epsilon: epsilon),
      lengths: lengths, positions: lengths.flatMap { depth..<depth + $0 })
    try linear.add(attended, to: hidden)
    let feedForward = FeedForward(
      config: config, linear: linear, prefix: prefix + "mlp.", following: following)
    let normed = try linear.norm(
      hidden, prefix + "post_attention_layernorm.weight", epsilon: epsilon)
    guard config.hasExperts(layer: index) else {
      let output = try feedForward.dense(
        normed, prefix: prefix + "mlp.", width: config.intermediateSize)
      try linear.add(output, to: hidden)
      return nil
    }
    let (output, routing) = try feedForward.experts(normed)
    try linear.add(output, to: hidden)
    return routing
  }
}
