package import Models
package import Passes
package import Platform
package import Reference

/// What a model loses where some of its weights come from elsewhere, for many such variants: a pass
/// carries as many of them beside the model itself as memory allows.
package struct VariantSweep {
  /// The model with some weights exchanged.
  package struct Variant {
    fileprivate let part: BlamePart

    /// Names a variant.
    ///
    /// - Parameters:
    ///   - layers: decoder layers that it touches; empty for embedding and head alone.
    ///   - tensors: names of the weights that come from `weights`.
    package init(
      _ name: String, layers: Set<Int>, tensors: [String], weights: any WeightSource
    ) {
      part = BlamePart(name: name, layers: layers, tensors: tensors, weights: weights)
    }
  }

  private let models: BlameModels
  private let batch: TokenBatch
  /// Variants that go through the layers together.
  package let together: Int
  /// Threads to compute with.
  package var threads: Int { models.threads }

  /// Divides the memory.
  ///
  /// - Parameter memory: bytes that the process may take; nil for the customary limit.
  /// - Throws: `.usage` with the least memory that does, where the limit cannot be kept.
  package init(
    _ config: ModelConfig, _ weights: CheckpointWeights, batch: TokenBatch, threads: Int,
    memory: Int?
  ) throws(Fault) {
    let use = ComparisonMemory(
      reference: config, candidates: [config], mtpLayers: 0, isolates: false, blames: true,
      tokens: batch.rows(), longest: batch.longest)
    let budget = try MemoryBudget(
      limit: memory, threads: threads, sequences: batch.sequences.count, isDivisible: false
    ) { together, plan, threads in
      use.peak(rows: batch.mostRows(together: together), plan: plan, threads: threads)
    }
    together = use.room(budget, rows: batch.rows()).variants
    models = BlameModels(
      reference: config, candidate: config, referenceWeights: weights, candidateWeights: weights,
      additional: [], mtpLayers: 0, threads: budget.threads, plan: budget.plan)
    self.batch = batch
  }

  private func rounds(_ variants: Int) -> Int { (variants + together - 1) / together }

  /// Layers that so many variants go through, round after round.
  package func layers(of variants: Int) -> Int { rounds(variants) * models.reference.layers }

  /// Mean KL divergence of the main model's logits from the model itself, of each variant, in nats.
  ///
  /// - Parameter progress: called with the layers done and all layers.
  /// - Throws: what the forward pass throws.
  package func losses(
    of variants: [Variant], progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> [Double] {
    var results: [Double] = []
    let rounds = rounds(variants.count)
    for round in 0..<rounds {
      let group = variants[round * together..<min((round + 1) * together, variants.count)]
      var sweep = try BlameSweep(models, parts: group.map(\.part), batch: batch)
      var snapshots: [Int: Activations] = [:]
      try sweep.run(snapshots: &snapshots, keep: []) { done, total in
        progress(round * total + done, rounds * total)
      }
      results += sweep.results.map(\.kl)
    }
    return results
  }
}
