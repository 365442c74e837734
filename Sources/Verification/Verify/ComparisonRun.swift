internal import Models
internal import Platform
internal import Reference

/// Two models that are to be compared within a limit on memory.
struct ComparisonRun {
  /// How long the comparison will take; nil where that is not long. Blame comes on top.
  let forecast: Forecast?
  private let configs: (reference: ModelConfig, candidate: ModelConfig)
  private let weights: (reference: CheckpointWeights, candidate: CheckpointWeights)
  private let batch: TokenBatch
  private let mtpLayers: Int
  private let memory: ComparisonMemory
  private let budget: MemoryBudget

  /// Checks both models' weights and divides the memory.
  ///
  /// - Throws: `.malformed` for weights that are missing or wrong; `.usage` with the least memory
  ///   that does, where the limit cannot be kept.
  init(
    _ reference: ModelFiles, _ candidate: ModelFiles, batch: TokenBatch, mtpLayers: Int,
    _ request: VerifyRequest
  ) throws(Fault) {
    configs = (reference.config, candidate.config)
    weights = (
      try CheckpointWeights(reference.weights, config: reference.config, mtp: mtpLayers > 0),
      try CheckpointWeights(candidate.weights, config: candidate.config, mtp: mtpLayers > 0)
    )
    self.batch = batch
    self.mtpLayers = mtpLayers
    let blames = request.blameCount != nil
    let memory = ComparisonMemory(
      reference: reference.config, candidate: candidate.config, mtpLayers: mtpLayers,
      isolates: request.isolates || request.isolatesModels || blames, blames: blames,
      tokens: batch.rows(),
      longest: batch.longest)
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
    forecast = Forecast.sum(
      try Forecast(
        reference, lengths: lengths, passes: passes, mtpLayers: mtpLayers,
        threads: budget.threads),
      try Forecast(
        candidate, lengths: memory.isolates ? lengths + lengths : lengths, passes: passes,
        mtpLayers: mtpLayers, threads: budget.threads))
  }

  private func network(
    _ config: ModelConfig, _ weights: CheckpointWeights
  ) -> Network {
    Network(config: config, weights: weights, threads: budget.threads, plan: budget.plan)
  }

  /// Runs both in lock step.
  func compare(progress: (_ done: Int, _ total: Int) -> Void) throws(Fault) -> LogitsComparison {
    try LogitsComparison(
      reference: network(configs.reference, weights.reference),
      candidate: network(configs.candidate, weights.candidate),
      batches: batch.groups(of: budget.together), mtpLayers: mtpLayers,
      isolates: memory.isolates, threads: budget.threads, progress: progress)
  }

  /// Ranks what differs by how much it adds.
  func blame(
    _ comparison: LogitsComparison, differences: [ConfigDifference], count: Int,
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> [Blame] {
    let models = BlameModels(
      reference: configs.reference, candidate: configs.candidate,
      referenceWeights: weights.reference, candidateWeights: weights.candidate,
      additional: Set(configs.candidate.expectedTensors().map(\.name.text)).subtracting(
        configs.reference.expectedTensors().map(\.name.text)),
      mtpLayers: mtpLayers, threads: budget.threads, plan: budget.plan)
    return try BlameSearch(
      models: models, batch: batch, differences: differences, count: count,
      room: memory.room(budget, rows: batch.rows())
    ).run(layers: comparison.layers, progress: progress)
  }
}

extension TokenBatch {
  /// Tokens of the longest sequence.
  var longest: Int { lengths().max() ?? 0 }

  /// The sequences in groups of so many, in order.
  func groups(of size: Int) throws(Fault) -> [TokenBatch] {
    var groups: [TokenBatch] = []
    for start in stride(from: 0, to: sequences.count, by: size) {
      groups.append(
        try TokenBatch(
          Array(sequences[start..<min(start + size, sequences.count)]), vocabSize: .max))
    }
    return groups
  }

  /// Tokens of the largest such group.
  func mostRows(together size: Int) -> Int {
    stride(from: 0, to: sequences.count, by: size).map { start in
      sequences[start..<min(start + size, sequences.count)].reduce(0) { $0 + $1.count }
    }.max() ?? 0
  }
}
