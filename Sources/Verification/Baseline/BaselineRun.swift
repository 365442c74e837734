internal import Models
internal import Passes
internal import Platform
internal import Reference

/// A model that is to be run for a baseline, or beside one, within a limit on memory.
///
/// All sequences go through together: what a baseline keeps is drawn from blocks of positions
/// across their borders.
struct BaselineRun {
  let network: Network
  let threads: Int
  /// How long it will take; nil where that is not long.
  let forecast: Forecast?

  /// Checks the weights and divides the memory.
  ///
  /// - Parameter keep: tokens whose logits are recorded for each position; 0 where none are.
  /// - Throws: `.malformed` for weights that are missing or wrong; `.usage` with the least memory
  ///   that does, where the limit cannot be kept.
  init(
    _ model: ModelFiles, batch: TokenBatch, mtpLayers: Int, keep: Int, threads: Int, memory: Int?,
    runtime: RuntimeArithmetic? = nil
  ) throws(Fault) {
    let (rows, config) = (batch.rows(), model.config)
    let weights = try CheckpointWeights(model.weights, config: config, mtp: mtpLayers > 0)
    let heads = BaselineHead.bytes(
      positions: rows, vocabSize: config.vocabSize, keep: keep)
    let budget = try MemoryBudget(
      limit: memory, threads: threads, sequences: 1, isDivisible: false
    ) { _, plan, threads in
      heads * (1 + mtpLayers)
        + Network.bytes(
          rows: rows, longest: batch.longest, config: config, mtpLayers: mtpLayers,
          threads: threads, plan: plan, rounds: runtime != nil)
    }
    network = Network(
      config: config, weights: weights, threads: budget.threads, plan: budget.plan,
      runtime: runtime)
    self.threads = budget.threads
    forecast = try Forecast(
      model, lengths: batch.lengths(), passes: 1, mtpLayers: mtpLayers, threads: threads)
  }
}
