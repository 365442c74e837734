internal import Models
internal import Passes
internal import Reference

/// What comparing models with a reference takes, counted in bytes.
struct ComparisonMemory {
  let reference: ModelConfig
  let candidates: [ModelConfig]
  let mtpLayers: Int
  /// Whether the reference's states go through the candidate's layers too.
  let isolates: Bool
  /// Whether parts of the candidate are tried in the reference afterwards.
  let blames: Bool
  /// Tokens of all sequences.
  let tokens: Int
  /// Tokens of the longest sequence.
  let longest: Int
  /// Whether the candidates' activations are rounded.
  var rounds = false

  private static let float = MemoryLayout<Float>.stride

  /// The most bytes at any time.
  ///
  /// - Parameter rows: tokens of the sequences that go through together.
  func peak(rows: Int, plan: MemoryPlan, threads: Int) -> Int {
    let pass = all.map { self.pass($0, rows, plan, threads) }.max() ?? 0
    // Beside the states that a pass is about there are the other models'.
    let others = candidates.count * states(rows)
    var most = max(pass, states(rows) + 2 * plan.tileBytes) + others
    if isolates {
      // What was joined is cut by copying, at an MTP layer while its input is still there; of every
      // candidate there is what it made of the reference's states.
      let joined = candidates.map { self.pass($0, 2 * rows, plan, threads) }.max() ?? 0
      let kept = 2 * (candidates.count - 1) * states(rows)
      most = max(most, joined + states(rows) + kept, 7 * states(rows) + kept)
    }
    if blames {
      most = max(most, WeightComparison.bytes(threads: threads), sweep(1, rows, plan, threads))
    }
    return most + Network.restingBytes(threads: threads) + tokens * perToken
  }

  /// A sweep over so many variants beside the reference, with one snapshot.
  private func sweep(_ variants: Int, _ rows: Int, _ plan: MemoryPlan, _ threads: Int) -> Int {
    // Beside a pass of all of them: their states, copies of those that change, and what comes out.
    pass(reference, (variants + 1) * rows, plan, threads) + (3 * variants + 3) * states(rows)
  }

  /// As many variants, and states between rounds, as fit into what a budget leaves.
  func room(_ budget: MemoryBudget, rows: Int) -> (variants: Int, snapshots: Int) {
    let snapshots = budget.spare / 4 / max(1, states(rows))
    let memory = budget.spare / 2 + sweep(1, rows, budget.plan, budget.threads)
    // Each takes as much more as the one before: beyond what all tokens share a pass is linear.
    var variants = 1
    while variants < 1 << 10, sweep(variants + 1, rows, budget.plan, budget.threads) <= memory {
      variants += 1
    }
    return (variants, max(1, snapshots))
  }

  private func pass(
    _ config: ModelConfig, _ rows: Int, _ plan: MemoryPlan, _ threads: Int
  ) -> Int {
    Network.bytes(
      rows: rows, longest: longest, config: config, mtpLayers: mtpLayers, threads: threads,
      plan: plan, rounds: rounds)
  }

  private func states(_ rows: Int) -> Int {
    rows * (all.map { Network.stateBytes($0, longest: longest) }.max() ?? 0)
  }

  private var all: [ModelConfig] { [reference] + candidates }

  /// What is kept of each token until the end.
  private var perToken: Int {
    let position =
      MemoryLayout<PositionSums>.stride + MemoryLayout<LogitsMetrics.Position>.stride
    let choice = MemoryLayout<Int>.stride + ComparisonMemory.float
    let own = 2 * MemoryLayout<Double>.stride + 4 * reference.expertsPerToken * choice
    return candidates.count
      * ((1 + mtpLayers) * position + (isolates ? (reference.layers + mtpLayers) * own : 0))
  }
}
