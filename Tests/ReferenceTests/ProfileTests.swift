import Codecs
import Models
import Passes
import Platform
import Reference
import Testing

/// What a pass says of its time.
@Suite struct ProfileTests {
  /// A pass over a sample's tokens, main model alone, and its logits.
  private func run(
    _ name: String, _ profile: PassProfile?, threads: Int = 2
  ) throws -> (logits: [Float], rows: Int, config: ModelConfig) {
    let sample = try Sample(name)
    let weights = try CheckpointWeights(sample.files.weights, config: sample.config, mtp: false)
    let network = Network(
      config: sample.config, weights: weights, threads: threads, profile: profile)
    let batch = try TokenBatch(sample.tokens, vocabSize: sample.config.vocabSize)
    let hidden = try network.embed(batch)
    for layer in 0..<sample.config.layers {
      _ = try network.layer(layer, hidden: hidden, batch: batch)
    }
    let normed = try network.finalNorm(hidden)
    let logits = Activations(rows: normed.rows, columns: sample.config.vocabSize)
    try network.eachLogits(of: normed, rows: 0..<normed.rows) { row, id, piece in
      _ = UnsafeMutableBufferPointer(rebasing: logits[row][id...]).update(fromContentsOf: piece)
    }
    profile?.close()
    return (logits.array, normed.rows, sample.config)
  }

  @Test(.enabled(if: KernelLevel.best != .plain), arguments: [1, 2])
  func countsTheProductsOfEachStage(threads: Int) throws {
    // Before the profile's own start, so that its stages can be no longer whatever comes between.
    let start = ContinuousClock.now
    let profile = PassProfile()
    let (_, rows, config) = try run("tiny-bf16", profile, threads: threads)
    let elapsed = (ContinuousClock.now - start) / .seconds(1)
    let stages = Dictionary(uniqueKeysWithValues: profile.stages.map { ($0.stage, $0.entry) })
    func operations(_ stage: PassProfile.Stage) -> Int { stages[stage]?.work.operations ?? 0 }
    let (hidden, width) = (config.hiddenSize, config.moeIntermediateSize)
    let sparse = (0..<config.layers).filter(config.hasExperts).count
    let perToken = 2 * rows * hidden
    #expect(operations(.head) == perToken * config.vocabSize)
    #expect(operations(.router) == perToken * config.routedExperts * sparse)
    #expect(operations(.experts) == 3 * perToken * width * config.expertsPerToken * sparse)
    #expect(
      operations(.mlp)
        == 3 * perToken
        * (width * config.sharedExperts * sparse
          + config.intermediateSize * (config.layers - sparse)))
    #expect(operations(.attention) > perToken * config.keyValueRank * config.layers)
    #expect(operations(.embedding) == 0)
    let seconds = stages.values.reduce(0) { $0 + $1.seconds }
    #expect(seconds > 0 && seconds <= elapsed)
    for (stage, entry) in stages where ![.other, .embedding].contains(stage) {
      #expect(entry.seconds > 0 && entry.work.multiplying > .zero, "\(stage)")
      #expect(entry.work.unpacking > .zero && entry.work.reading > .zero, "\(stage)")
      #expect((entry.work.handing > .zero) == (stage == .head), "\(stage)")
    }
  }

  @Test func changesNoNumber() throws {
    let (plain, _, _) = try run("tiny-bf16", nil)
    let (watched, _, _) = try run("tiny-bf16", PassProfile())
    #expect(plain == watched)
  }
}
