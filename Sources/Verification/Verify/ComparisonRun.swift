internal import Models
internal import Passes
internal import Platform
internal import Reference

/// Models that are to be compared with a reference within a limit on memory.
struct ComparisonRun {
  /// A model that is measured.
  struct Candidate {
    let config: ModelConfig
    let weights: CheckpointWeights
    /// MTP layers that it and the reference have.
    let mtpLayers: Int
  }

  /// How long the comparison will take; nil where that is not long. Blame comes on top.
  let forecast: Forecast?
  private let config: ModelConfig
  private let runtime: RuntimeArithmetic?
  private let weights: CheckpointWeights
  private let candidates: [Candidate]
  private let batch: TokenBatch
  private let memory: ComparisonMemory
  private let budget: MemoryBudget

  /// Checks all models' weights and divides the memory.
  ///
  /// - Throws: `.malformed` for weights that are missing or wrong; `.usage` with the least memory
  ///   that does, where the limit cannot be kept.
  init(
    _ reference: ModelFiles, _ candidates: [ModelFiles], batch: TokenBatch,
    _ request: VerifyRequest
  ) throws(Fault) {
    var all: [Candidate] = []
    for files in candidates {
      let mtpLayers = request.mtp ? min(reference.config.mtpLayers, files.config.mtpLayers) : 0
      all.append(
        Candidate(
          config: files.config,
          weights: try CheckpointWeights(files.weights, config: files.config, mtp: mtpLayers > 0),
          mtpLayers: mtpLayers))
    }
    let mtpLayers = all.map(\.mtpLayers).max() ?? 0
    config = reference.config
    runtime = request.runtime
    weights = try CheckpointWeights(reference.weights, config: config, mtp: mtpLayers > 0)
    self.candidates = all
    self.batch = batch
    let blames = request.blameCount != nil
    let memory = ComparisonMemory(
      reference: config, candidates: all.map(\.config), mtpLayers: mtpLayers,
      isolates: request.isolates || request.isolatesModels || blames, blames: blames,
      tokens: batch.rows(),
      longest: batch.longest, rounds: request.runtime != nil)
    self.memory = memory
    // Blame goes back to the states of all tokens.
    budget = try MemoryBudget(
      limit: request.memory, threads: request.threads, sequences: batch.sequences.count,
      isDivisible: !blames
    ) { together, plan, threads in
      memory.peak(rows: batch.mostRows(together: together), plan: plan, threads: threads)
    }
    let lengths = batch.lengths()
    let passes = (lengths.count + budget.together - 1) / budget.together
    var forecast = try Forecast(
      reference, lengths: lengths, passes: passes, mtpLayers: mtpLayers, threads: budget.threads)
    for (files, candidate) in zip(candidates, all) {
      forecast = Forecast.sum(
        forecast,
        try Forecast(
          files, lengths: memory.isolates ? lengths + lengths : lengths, passes: passes,
          mtpLayers: candidate.mtpLayers, threads: budget.threads))
    }
    self.forecast = forecast
  }

  private func network(
    _ config: ModelConfig, _ weights: CheckpointWeights, as runtime: RuntimeArithmetic? = nil
  ) -> Network {
    Network(
      config: config, weights: weights, threads: budget.threads, plan: budget.plan,
      runtime: runtime)
  }

  /// Runs all in lock step.
  func sums(progress: (_ done: Int, _ total: Int) -> Void) throws(Fault) -> [ComparisonSums] {
    try LogitsComparison.sums(
      reference: network(config, weights),
      candidates: candidates.map {
        LogitsComparison.Candidate(
          network($0.config, $0.weights, as: runtime), mtpLayers: $0.mtpLayers)
      },
      batches: batch.groups(of: budget.together), isolates: memory.isolates,
      threads: budget.threads, progress: progress)
  }

  /// Ranks what differs in a candidate by how much it adds.
  func blame(
    _ comparison: LogitsComparison, of place: Int, differences: [ConfigDifference],
    stored: StoredBytes, count: Int,
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> [Blame] {
    let candidate = candidates[place]
    let models = BlameModels(
      reference: config, candidate: candidate.config, referenceWeights: weights,
      candidateWeights: candidate.weights,
      additional: Set(candidate.config.expectedTensors().map(\.name.text)).subtracting(
        config.expectedTensors().map(\.name.text)),
      mtpLayers: candidate.mtpLayers, threads: budget.threads, plan: budget.plan)
    return try BlameSearch(
      models: models, batch: batch, differences: differences, stored: stored,
      count: count,
      room: memory.room(budget, rows: batch.rows())
    ).run(layers: comparison.layers, progress: progress)
  }
}
