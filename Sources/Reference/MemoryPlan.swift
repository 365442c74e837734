internal import Codecs
internal import Models

/// How much of a forward pass is in memory at a time; results do not depend on it.
///
/// Plans go from generous to tight. The first steps cost next to nothing; in the later ones parts
/// of a sequence go through the feed-forward blocks one after the other, each through all weights.
public struct MemoryPlan: Sendable, Hashable {
  /// Rows that go through a dense block, or the shared experts, together.
  var feedForwardRows: Int
  /// Rows of experts' inputs and results that wait to be added.
  var waitingRows: Int
  /// Values of a tile of weights.
  var tileValues: Int
  /// Logits that each worker holds before they go on.
  var tileLogits: Int

  /// Whether a pass goes through some weights several times.
  public var repeatsWeights: Bool { feedForwardRows < .max }

  /// The plan for whoever has memory.
  public static let generous = MemoryPlan(
    feedForwardRows: .max, waitingRows: 8192, tileValues: 1 << 21, tileLogits: 1 << 21)

  /// All plans, the most generous first.
  public static let all: [MemoryPlan] = {
    var plans = [generous]
    for step in 1...5 {
      plans.append(
        MemoryPlan(
          feedForwardRows: .max, waitingRows: generous.waitingRows >> step,
          tileValues: generous.tileValues >> step, tileLogits: generous.tileLogits >> step))
    }
    for rows in [1024, 512, 256, 128, 64, 32] {
      plans.append(
        MemoryPlan(
          feedForwardRows: rows, waitingRows: min(256, rows), tileValues: 1 << 15,
          tileLogits: 1 << 15))
    }
    return plans
  }()
}

/// What a pass takes, counted in bytes; see `Network.bytes`.
struct MemoryUse {
  let config: DeepSeekV3Config
  let threads: Int
  let plan: MemoryPlan

  private static let float = MemoryLayout<Float>.stride

  /// The largest of the steps, hidden states and logits included.
  ///
  /// - Parameter rows: tokens that go through together.
  func peak(rows: Int) -> Int {
    let steps = [attention(rows), dense(rows), experts(rows), predictor(rows), head(rows)]
    return threads * perWorker + steps.max()!
  }

  /// Rows whose logits are computed together: as many as divide the decoding of the head's weights
  /// well, if pieces of a row stay long enough to be written.
  static func logitsRows(_ plan: MemoryPlan) -> Int { min(2048, plan.tileLogits / 256) }

  /// Hidden and normed states, and logits.
  private func head(_ rows: Int) -> Int {
    let together = min(rows, MemoryUse.logitsRows(plan))
    let tile = max(plan.tileLogits, Linear.panel * together) + Linear.panel * together
    return 2 * rows * config.hiddenSize * MemoryUse.float
      + threads * (tile * MemoryUse.float + self.tile(columns: config.hiddenSize))
  }

  /// Scratch memory of products, a thread's stack, and what the allocator keeps for it.
  private var perWorker: Int { ProductScratch.byteCount + (1 << 19) }

  /// A tile of weights with `columns` columns in F32, which is the widest that they are stored in.
  private func tile(columns: Int) -> Int {
    max(plan.tileValues, Linear.panel * columns) * MemoryUse.float
  }

  private func attention(_ rows: Int) -> Int {
    let c = config
    let latents =
      2 * (c.queryRank ?? 0) + 2 * (c.keyValueRank + c.ropeHeadSize) + c.ropeHeadSize
    let perToken = 3 * c.hiddenSize + latents + c.heads * c.valueHeadSize
    let joint = (c.nopeHeadSize + c.valueHeadSize) * c.keyValueRank * MemoryUse.float
    let perHead = HeadAttention.bytes(tokens: rows, c) + joint
    return rows * perToken * MemoryUse.float
      + threads * (perHead + tile(columns: max(c.hiddenSize, c.heads * c.valueHeadSize)))
  }

  /// Beside hidden states, a normed copy and the sum of experts: (rows, hidden) each.
  private func block(_ rows: Int, width: Int) -> Int {
    let together = min(rows, plan.feedForwardRows)
    let floats = 4 * rows * config.hiddenSize + 2 * together * width
    return floats * MemoryUse.float + threads * tile(columns: max(config.hiddenSize, width))
  }

  private func dense(_ rows: Int) -> Int { block(rows, width: config.intermediateSize) }

  private func experts(_ rows: Int) -> Int {
    let c = config
    let uses = min(rows * c.expertsPerToken, plan.waitingRows)
    let perUse = 2 * c.hiddenSize + 2 * c.moeIntermediateSize
    // A use's place among the choices and in its expert's list; the router's logits.
    let perToken = c.routedExperts * MemoryUse.float + c.expertsPerToken * 64
    let routed =
      (3 * rows * c.hiddenSize + uses * perUse) * MemoryUse.float + rows * perToken
      + threads * tile(columns: max(c.hiddenSize, c.moeIntermediateSize))
    return max(
      routed, block(rows, width: c.moeIntermediateSize * max(1, c.sharedExperts)))
  }

  /// What comes before the block of an MTP layer.
  private func predictor(_ rows: Int) -> Int {
    guard config.mtpLayers > 0 else { return 0 }
    return 8 * rows * config.hiddenSize * MemoryUse.float
      + threads * tile(columns: 2 * config.hiddenSize)
  }
}
