internal import Codecs
internal import Models

/// How much of a forward pass is in memory at a time; results do not depend on it.
///
/// Rows go through everything but the heads of attention in blocks, each through all weights of its
/// step. Large blocks cost next to nothing: weights are decoded once per some 500 rows anyway, and
/// only those of attention, dense blocks and shared experts are read again. Small blocks are slower.
package struct MemoryPlan: Sendable, Hashable {
  /// Rows that go through a product together.
  var rows: Int
  /// Rows of experts' results that wait to be added.
  var waitingRows: Int
  /// Values of a tile of weights.
  var tileValues: Int
  /// Logits that each worker holds before they go on.
  var tileLogits: Int

  /// Whether products are so small that they are slow.
  package var isTight: Bool { rows < 256 }
  /// Bytes of the largest tile of logits that `Network.tileRows` and `vocabularyTiles` lead to.
  package var tileBytes: Int { tileLogits * MemoryLayout<Float>.stride }

  /// The plan for whoever has memory.
  package static let generous = all[0]

  /// All plans, the most generous first, each with half as much as the one before, but for tiles of
  /// weights, which a second-level cache should hold from their reading to their products, and for the
  /// first one's logits, whose longer pieces files take with less work.
  package static let all: [MemoryPlan] = (0...6).map { step in
    MemoryPlan(
      rows: 2048 >> step, waitingRows: 8192 >> step, tileValues: 1 << min(19, 21 - step),
      tileLogits: 1 << (step == 0 ? 22 : 21 - step))
  }
}

/// What a pass takes, counted in bytes; see `Network.bytes`.
struct MemoryUse {
  let config: ModelConfig
  /// Tokens of the longest sequence.
  let longest: Int
  let mtpLayers: Int
  let threads: Int
  let plan: MemoryPlan
  /// Whether what weights are multiplied with is noted.
  var notesInputs = false
  /// Whether activations are rounded as a runtime does.
  var rounds = false

  private static let float = MemoryLayout<Float>.stride

  /// Rows whose logits are computed together: as many as divide the decoding of the head's weights
  /// well, if pieces of a row stay long enough to be written.
  static func logitsRows(_ plan: MemoryPlan) -> Int { min(2048, plan.tileLogits / 256) }

  /// The largest of the steps, hidden states and logits included.
  ///
  /// - Parameter rows: tokens that go through together.
  func peak(rows: Int) -> Int {
    if config.v4 != nil { return streamedPeak(rows: rows) }
    let layer = max(states(rows) + attention(rows), dense(rows), experts(rows))
    let head = states(rows) + logits(rows)
    // A predictor's block has the states that it was made from beside it.
    let predictor = mtpLayers > 0 ? states(rows) + max(layer, joined(rows)) : 0
    return threads * MemoryUse.perWorker + max(layer, head, predictor) + beside
  }

  /// Hidden states, (rows, hidden), with the keys that an indexer has chosen for them.
  func states(_ rows: Int) -> Int { rows * MemoryUse.stateBytes(config, longest: longest) }

  static func stateBytes(_ config: ModelConfig, longest: Int) -> Int {
    let chooses = config.indexer.map { longest > $0.topK } ?? false
    return Network.stateColumns(config) * float
      + (chooses ? KeySets.bytesPerRow(longest: longest) : 0)
  }

  /// Scratch memory of products, a thread's stack, and what the allocator keeps for it.
  static var perWorker: Int { ProductScratch.byteCount + (1 << 19) }

  private func logits(_ rows: Int) -> Int {
    let together = min(rows, MemoryUse.logitsRows(plan))
    let tile = max(plan.tileLogits, Linear.panel * together) + Linear.panel * together
    return threads * (tile * MemoryUse.float + self.tile(columns: config.hiddenSize))
  }

  /// A tile of weights with `columns` columns in F32, which is the widest that they are stored in.
  private func tile(columns: Int) -> Int {
    max(plan.tileValues, Linear.panel * columns) * MemoryUse.float
  }

  /// Beside hidden states; sequences go through it in groups.
  private func attention(_ all: Int) -> Int {
    let c = config
    let rows = max(min(all, longest), min(all, plan.rows))
    let block = min(rows, plan.rows)
    let latents =
      rows * ((c.queryRank ?? c.hiddenSize) + c.keyValueRank + 2 * c.ropeHeadSize)
    let low = max(c.queryRank ?? 0, 2 * c.keyValueRank + c.ropeHeadSize)
    let mixed = rows * c.heads * c.valueHeadSize
    let joint = (c.nopeHeadSize + c.valueHeadSize) * c.keyValueRank * MemoryUse.float
    let latent = notesInputs || rounds ? HeadAttention.mixingBytes(tokens: rows, c) : 0
    let heads = threads * (HeadAttention.bytes(tokens: rows, c) + latent + joint)
    let choice = KeyChoice.bytes(
      tokens: rows, longest: min(longest, rows), c, threads: threads, plan: plan)
    let before = choice + block * (c.hiddenSize + low) * MemoryUse.float
    let after = block * c.hiddenSize * MemoryUse.float
    return latents * MemoryUse.float
      + threads * tile(columns: max(c.hiddenSize, c.heads * c.valueHeadSize))
      + max(before, mixed * MemoryUse.float + max(heads, after))
  }

  /// A block of rows inside an MLP, and the weights that it meets.
  private func block(_ rows: Int, width: Int) -> Int {
    min(rows, plan.rows) * (config.hiddenSize + 2 * width) * MemoryUse.float
      + threads * tile(columns: max(config.hiddenSize, width))
  }

  private func dense(_ rows: Int) -> Int {
    (0..<config.layers).allSatisfy(config.hasExperts)
      ? 0 : states(rows) + block(rows, width: config.intermediateSize)
  }

  /// Hidden states beside the sum of experts.
  private func experts(_ rows: Int) -> Int {
    let c = config
    let (hidden, width) = (c.hiddenSize, c.moeIntermediateSize)
    // A use's place among the choices and in its expert's list; the router's logits.
    let perToken = c.routedExperts * MemoryUse.float + c.expertsPerToken * 64
    let waiting = min(rows * c.expertsPerToken, plan.waitingRows)
    let item = min(waiting, FeedForward.itemRows)
    let routed =
      (waiting * hidden + threads * item * 2 * width) * MemoryUse.float
      + threads * tile(columns: max(hidden, width))
    return 2 * states(rows) + rows * perToken
      + max(routed, block(rows, width: width * max(1, c.sharedExperts)))
  }

  /// The largest of the steps of DeepSeek-V4, whose mixers have the input and the output of a half
  /// layer beside the streams.
  private func streamedPeak(rows: Int) -> Int {
    let c = config
    let own = rows * c.hiddenSize * MemoryUse.float
    let block = min(rows, plan.rows)
    let mixes = (rows + block) * (c.v4?.mixes ?? 0) * MemoryUse.float
    let mixing = block * Network.stateColumns(c) * MemoryUse.float
    let group = max(min(rows, longest), block)
    let attention = SharedKeyAttention.bytes(
      rows: group, longest: min(longest, group), c, threads: threads, plan: plan)
    let tiles =
      threads * tile(columns: max(Network.stateColumns(c), c.heads * c.valueHeadSize))
    let layer =
      states(rows) + 2 * own + mixes
      + max(mixing, attention, experts(rows) - 2 * states(rows)) + tiles
    let head = states(rows) + own + max(mixing, logits(rows))
    let predictor =
      mtpLayers > 0 ? states(rows) + own + max(layer, states(rows) + own + 3 * mixing) : 0
    return threads * MemoryUse.perWorker + max(layer, head, predictor) + beside
  }

  /// What is there at every step: sums of inputs, and rows that are rounded into a copy.
  private var beside: Int {
    (notesInputs ? InputSums.mostBytes(config) : 0)
      + (rounds ? threads * Rounds.bytes(config) : 0)
  }

  /// What comes before the block of an MTP layer, its input apart.
  private func joined(_ rows: Int) -> Int {
    states(rows) + 3 * states(min(rows, plan.rows))
      + threads * tile(columns: 2 * config.hiddenSize)
  }
}
