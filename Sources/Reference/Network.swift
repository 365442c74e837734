package import Codecs
package import Models
package import Platform
internal import Tensors

/// The forward pass of a DeepSeek-V3-family network in F32, one step at a time.
///
/// Steps are separate so that two networks can run in lock step, and so that one can be fed
/// the other's hidden states. Activations have one row per token of a batch, sequence after
/// sequence. Weights are asked for when they are used and forgotten after it: at any time there
/// are a few tiles of a matrix in memory, or one expert's matrices per thread.
///
/// The mathematics is transformers 5.23's (`DeepseekV3ForCausalLM` and `MtpModel`); DeepSeek-V4's
/// layers are `StreamedLayer`'s.
///
/// A network keeps scratch memory for its threads, hence it is not `Sendable`: one call at a time.
package struct Network {
  /// What the network looks like.
  package let config: ModelConfig
  let linear: Linear
  private let rotary: Rotary
  /// The layers of DeepSeek-V4; nil for other networks.
  private let streamed: StreamedLayer?

  /// Prepares the tables that follow from the config; no weight is read.
  ///
  /// - Parameters:
  ///   - inputs: takes note of what each weight is multiplied with.
  ///   - runtime: whose rounding is imitated; nil for none.
  ///   - profile: takes note of where the time goes; nil where nobody asks.
  package init(
    config: ModelConfig, weights: any WeightSource, threads: Int = Workers.available,
    level: KernelLevel = .best, plan: MemoryPlan = .generous, inputs: InputSums? = nil,
    runtime: RuntimeArithmetic? = nil, profile: PassProfile? = nil
  ) {
    let config = runtime?.reading(config) ?? config
    self.config = config
    linear = Linear(
      weights: weights, threads: threads, level: level, plan: plan, inputs: inputs,
      rounds: runtime.map { Rounds($0, config) }, profile: profile)
    rotary = Rotary(config)
    streamed = StreamedLayer(config, linear: linear)
  }

  /// Embedding of each token: (tokens, hidden), or, of a network with several residual streams, the
  /// same in each: (tokens, streams · hidden). Hidden states have as many columns up to the final norm.
  ///
  /// - Throws: what reading the table may throw.
  package func embed(_ batch: TokenBatch) throws(Fault) -> Activations {
    let ids = batch.sequences.flatMap { $0 }
    return try linear.profile.measure(.embedding) { () throws(Fault) in
      let result = Activations(unwrittenRows: ids.count, columns: config.hiddenSize)
      try linear.weights.gather(
        Network.embedding, indices: ids, into: result.mutableView, level: linear.level)
      linear.rounds?.results?.apply(to: result.mutableView)
      return streamed?.spread(result) ?? result
    }
  }

  /// Runs decoder layer `index` on the residual stream (tokens, hidden), in place. Where an indexer
  /// chooses the keys that queries see, they are the stream's `chosenKeys` afterwards, and what a layer
  /// without one goes by.
  ///
  /// - Returns: the router's choices, nil for a dense layer.
  /// - Throws: `.malformed` for weights that are missing or have the wrong shape.
  package func layer(
    _ index: Int, hidden: Activations, batch: TokenBatch
  ) throws(Fault) -> Routing? {
    precondition(index < config.layers && hidden.rows == batch.rows())
    return try block(index, hidden: hidden, batch: batch, depth: 0)
  }

  /// The norm after the last layer, or after that of the predictor of a depth, of the residual stream
  /// (tokens, hidden): what the head and the next predictor take. It is in place of the stream, but
  /// where several streams are put together first.
  ///
  /// - Throws: as `layer` does.
  package func finalNorm(_ hidden: Activations, depth: Int = 0) throws(Fault) -> Activations {
    try linear.profile.measure(.head) { () throws(Fault) in
      if let streamed { return try streamed.finish(hidden, depth: depth) }
      let name =
        depth == 0
        ? "model.norm.weight"
        : "model.layers.\(config.layers + depth - 1).shared_head.norm.weight"
      try linear.norm(
        hidden.view, name, epsilon: config.rmsNormEpsilon, into: hidden.mutableView)
      return hidden
    }
  }

  /// Runs multi-token predictor `index` (0 for the first): it joins the embedding of the token
  /// after the last one that its input has seen with that input, embedding first.
  ///
  /// As in transformers, embedding and head are the main model's: a layer's own
  /// `embed_tokens.weight` and `shared_head.head.weight` are copies of them that `validate`
  /// compares. A row's rotary position is that of the token whose embedding joins.
  ///
  /// Of networks with an indexer it chooses keys by its own, as DeepSeek's and vLLM's code do. It is
  /// held to transformers' layer of these networks run as a predictor, since transformers has none of
  /// them, and llama.cpp's sees all keys.
  ///
  /// - Parameter previous: hidden states after the `finalNorm` of the main model, or of the predictor
  ///   before: (rows of depth `index`, hidden).
  /// - Returns: the residual stream after its block, (rows of its depth, hidden), and the router's
  ///   choices, nil for a dense block.
  /// - Throws: as `layer` does.
  package func predictor(
    _ index: Int, previous: Activations, batch: TokenBatch
  ) throws(Fault) -> (hidden: Activations, routing: Routing?) {
    precondition(index < config.mtpLayers && previous.rows == batch.rows(depth: index))
    let depth = index + 1
    let layer = config.layers + index
    let prefix = "model.layers.\(layer)."
    let ids = batch.ids(depth: depth, distance: depth).compactMap { $0 }
    if let streamed {
      guard let streams = previous.streams else {
        preconditionFailure("a predictor takes what finalNorm gives")
      }
      let hidden = try linear.profile.measure(.embedding) { () throws(Fault) in
        let embeddings = Activations(unwrittenRows: ids.count, columns: config.hiddenSize)
        try linear.weights.gather(
          Network.embedding, indices: ids, into: embeddings.mutableView, level: linear.level)
        return try streamed.join(
          embeddings, streams, rows: batch.rowsContinuing(depth: index), prefix: prefix)
      }
      return (hidden, try block(layer, hidden: hidden, batch: batch, depth: depth))
    }
    let hidden = try linear.profile.measure(.embedding) { () throws(Fault) in
      let state = try NormedRows(
        previous, weight: prefix + "hnorm.weight", epsilon: config.rmsNormEpsilon, linear: linear)
      return try joined(ids, state, rows: batch.rowsContinuing(depth: index), prefix: prefix)
    }
    return (hidden, try block(layer, hidden: hidden, batch: batch, depth: depth))
  }

  /// The normed embeddings of `ids` beside some rows of `state`, (rows, hidden) each, projected:
  /// (rows, hidden).
  private func joined(
    _ ids: [Int], _ state: NormedRows, rows: [Int], prefix: String
  ) throws(Fault) -> Activations {
    let size = config.hiddenSize
    let hidden = Activations(unwrittenRows: ids.count, columns: size)
    for part in linear.blocks(of: ids.count) {
      let pair = Activations(unwrittenRows: part.count, columns: 2 * size)
      let token = pair.mutableView(0..<part.count, columns: 0..<size)
      try linear.weights.gather(
        Network.embedding, indices: Array(ids[part]), into: token, level: linear.level)
      try linear.norm(
        pair.view(0..<part.count, columns: 0..<size), prefix + "enorm.weight",
        epsilon: config.rmsNormEpsilon, into: token)
      state.gather(
        rows[part], into: pair.mutableView(0..<part.count, columns: size..<2 * size))
      try linear.note(pair.view, for: [prefix + "eh_proj.weight"])
      try linear.project(
        pair.view, prefix + "eh_proj.weight", into: hidden.mutableView(part))
    }
    return hidden
  }

  /// Bytes of the residual stream of a token, no sequence being longer than `longest`, with the keys
  /// that an indexer has chosen for it.
  package static func stateBytes(_ config: ModelConfig, longest: Int) -> Int {
    MemoryUse.stateBytes(config, longest: longest)
  }

  /// Values of a token in hidden states before the final norm.
  package static func stateColumns(_ config: ModelConfig) -> Int {
    config.hiddenSize * (config.v4?.streams ?? 1)
  }

  /// Bytes that a network takes while it does nothing.
  package static func restingBytes(threads: Int) -> Int { threads * MemoryUse.perWorker }

  /// The most bytes that a pass of `rows` tokens takes on some threads, no sequence being longer than
  /// `longest`: hidden states, all that is made of them, the weights in use, and what the network
  /// takes while it does nothing; with the sums of a layer's inputs where they are noted, and copies
  /// of rows where they are rounded as a runtime does.
  package static func bytes(
    rows: Int, longest: Int, config: ModelConfig, mtpLayers: Int, threads: Int,
    plan: MemoryPlan, notesInputs: Bool = false, rounds: Bool = false
  ) -> Int {
    MemoryUse(
      config: config, longest: longest, mtpLayers: mtpLayers, threads: threads, plan: plan,
      notesInputs: notesInputs, rounds: rounds
    ).peak(rows: rows)
  }

  private static let embedding = "model.embed_tokens.weight"

  static func headName(_ config: ModelConfig) -> String {
    config.tiedEmbeddings ? embedding : "lm_head.weight"
  }

  /// The matrices of a layer's attention, in the order of their use.
  private func attentionNames(of layer: Int, longest: Int) -> [String] {
    let query = config.queryRank == nil ? ["q_proj"] : ["q_a_proj", "q_b_proj"]
    let indexer = chooses(layer, longest) ? ModelConfig.indexerMatrices(of: layer) : []
    // A head's part of q_b_proj is read with its part of kv_b_proj.
    func names(_ modules: [String]) -> [String] {
      modules.map { "model.layers.\(layer).self_attn.\($0).weight" }
    }
    return names(query.prefix(1) + ["kv_a_proj_with_mqa"]) + indexer
      + names(query.dropFirst() + ["kv_b_proj", "o_proj"])
  }

  /// Whether a layer chooses keys: with no more tokens than it would choose it need not.
  private func chooses(_ layer: Int, _ longest: Int) -> Bool {
    config.hasIndexer(layer: layer) && longest > config.indexer?.topK ?? .max
  }

  /// A decoder layer on rows of `depth`: attention and feed-forward, each on a normed copy.
  private func block(
    _ index: Int, hidden: Activations, batch: TokenBatch, depth: Int
  ) throws(Fault) -> Routing? {
    let prefix = "model.layers.\(index)."
    let lengths = batch.lengths(depth: depth)
    if let streamed {
      let next =
        index + 1 < config.layers
        ? streamed.attentionNames(of: index + 1) : [Network.headName(config)]
      return try streamed(
        index, hidden: hidden, ids: batch.ids(depth: depth, distance: depth).compactMap { $0 },
        lengths: lengths, depth: depth, following: next)
    }
    let longest = lengths.max() ?? 0
    let following =
      index + 1 < config.layers
      ? attentionNames(of: index + 1, longest: longest) : [Network.headName(config)]
    let dense =
      config.hasExperts(layer: index)
      ? ["gate.weight"] : FeedForward.parts
    linear.weights.expect(
      attentionNames(of: index, longest: longest) + dense.map { prefix + "mlp." + $0 } + following)
    func normed(_ name: String) throws(Fault) -> NormedRows {
      try NormedRows(
        hidden, weight: prefix + name, epsilon: config.rmsNormEpsilon, linear: linear)
    }
    var attention = Attention(
      config: config, linear: linear, rotary: rotary, prefix: prefix + "self_attn.")
    if let indexer = config.indexer, config.hasIndexer(layer: index) {
      attention.choice = KeyChoice(
        config: config, indexer: indexer, linear: linear, rotary: rotary,
        prefix: prefix + "self_attn.indexer.")
      hidden.chosenKeys =
        chooses(index, longest) ? KeySets(rows: hidden.rows, longest: longest) : nil
    }
    try linear.profile.measure(.attention) { () throws(Fault) in
      let input = try normed("input_layernorm.weight")
      for (rows, lengths) in linear.groups(of: lengths) {
        try attention(input, rows: rows, lengths: lengths, depth: depth, addedTo: hidden)
      }
    }
    let feedForward = FeedForward(
      config: config, linear: linear, prefix: prefix + "mlp.", following: following)
    let attended = try normed("post_attention_layernorm.weight")
    guard config.hasExperts(layer: index) else {
      try feedForward.dense(
        attended, prefix: prefix + "mlp.", width: config.intermediateSize, addedTo: hidden)
      return nil
    }
    let (output, routing) = try feedForward.experts(attended)
    if config.architecture.normsExperts {
      for rows in linear.blocks(of: output.rows) {
        let part = Activations(unwrittenRows: rows.count, columns: output.columns)
        try linear.norm(
          output.view(rows), prefix + "post_mlp_layernorm.weight", epsilon: config.rmsNormEpsilon,
          into: part.mutableView)
        try linear.add(part, to: hidden, from: rows.lowerBound)
      }
      return routing
    }
    try linear.add(output, to: hidden)
    return routing
  }
}
