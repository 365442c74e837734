internal import Models
internal import Platform
internal import Reference
internal import Reports
internal import Tensors

/// Finds what adds most to the difference of two models, from the large to the small: keys of the
/// config and layers that go wrong by themselves, the tensors of those, the experts of the worst
/// blocks of experts, their matrices.
///
/// The cost is about one pass of the reference per round (three at the most) over the tokens times
/// the parts that are tried, weights being read once for all, and one pass of the candidate per key
/// of the config that differs.
struct BlameSearch {
  let models: BlameModels
  let batch: TokenBatch
  let differences: [ConfigDifference]
  /// What weights take in the candidate's files.
  let stored: StoredBytes
  /// Rows of the result, and layers that are looked into.
  let count: Int
  /// Parts that are tried at the same time, and states that are kept between rounds.
  let room: (variants: Int, snapshots: Int)

  /// Tensors of a layer, experts apart, that are tried: those that are furthest off.
  private static let tensorsPerLayer = 12
  /// Blocks of experts and experts that are looked into.
  private static let blocks = 3

  private var comparison: WeightComparison {
    WeightComparison(
      reference: models.referenceWeights, candidate: models.candidateWeights,
      threads: models.threads)
  }

  /// Runs the search.
  ///
  /// - Parameter layers: what each layer does wrong by itself.
  func run(
    layers: [LogitsComparison.Layer], progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> [Blame] {
    let worst = Array(
      layers.filter { ($0.own?.nmse.badness ?? 0) > 0 }
        .sorted { ($0.own?.nmse.badness ?? 0) > ($1.own?.nmse.badness ?? 0) }.prefix(count))
    let found = try comparison.differences(in: tensors(of: Set(worst.map(\.index))))
    var parts = differences.map(BlamePart.init)
    var blocks: [String: [TensorDifference]] = [:]
    for (layer, tensors) in grouped(found) {
      let others = tensors.filter { $0.expert == nil }.sorted {
        ($0.nmse.badness, $1.name) > ($1.nmse.badness, $0.name)
      }
      parts += others.prefix(BlameSearch.tensorsPerLayer).map { BlamePart($0) }
      let experts = tensors.filter { $0.expert != nil }
      if experts.isEmpty { continue }
      if Set(experts.map(\.expert)).count <= count {
        parts += try expertParts(experts)
      } else {
        let name = "model.layers.\(layer ?? 0).mlp.experts"
        parts.append(BlamePart(.experts, name: name, layer: layer, tensors: experts))
        blocks[name] = experts
      }
    }
    var snapshots: [Int: Activations] = [:]
    let keep = worst.map(\.index).prefix(room.snapshots)
    func sweep(_ parts: [BlamePart]) throws(Fault) -> [Blame] {
      try measure(parts, snapshots: &snapshots, keep: Set(keep), progress: progress)
    }
    var results = try sweep(parts)
    let refined = results.filter { blocks[$0.name] != nil }.sorted { $0.precedes($1) }
    var more: [BlamePart] = []
    for block in refined.prefix(BlameSearch.blocks) {
      more += try expertParts(heaviest(blocks[block.name] ?? [], layers))
    }
    results += try sweep(more)
    parts += more
    // What is another expert's as a whole is not told better by its parts.
    let experts = results.filter { $0.kind == .expert && $0.hint == nil }
      .sorted { $0.precedes($1) }
    let names = Set(experts.prefix(BlameSearch.blocks).map(\.name))
    let byName = Dictionary(found.map { ($0.name, $0) }) { first, _ in first }
    results += try sweep(
      parts.filter { $0.kind == .expert && names.contains($0.name) }.flatMap(\.tensors)
        .compactMap { byName[$0].map { BlamePart($0) } })
    return Array(results.sorted { $0.precedes($1) }.prefix(count))
  }

  /// What has to be read: layers that go wrong; outside the layers everything; of layers that do
  /// right on these tokens only what is small, as a bias that would tip other tokens may be off.
  private func tensors(of layers: Set<Int>) -> [ExpectedTensor] {
    let candidate = Set(models.candidate.expectedTensors().map(\.name))
    return models.reference.expectedTensors().filter { tensor in
      guard tensor.storage != .scale, tensor.part != .embeddingCopy, tensor.part != .headCopy,
        candidate.contains(tensor.name)
      else { return false }
      guard let layer = tensor.layer else { return true }
      guard layer < models.reference.layers + models.mtpLayers else { return false }
      return layers.contains(layer) || tensor.part == .router || tensor.shape.dimensions.count == 1
    }
  }

  private func grouped(
    _ tensors: [TensorDifference]
  ) -> [(layer: Int?, tensors: [TensorDifference])] {
    Dictionary(grouping: tensors, by: \.layer).sorted { ($0.key ?? -1) < ($1.key ?? -1) }
      .map { ($0.key, $0.value) }
  }

  /// One part per expert, named by its one tensor where only one differs.
  private func expertParts(_ tensors: [TensorDifference]) throws(Fault) -> [BlamePart] {
    let groups = Dictionary(grouping: tensors) { $0.expert ?? 0 }.sorted { $0.key < $1.key }
    var parts: [BlamePart] = []
    for (expert, members) in groups {
      let hint = try ExpertOrder(comparison, config: models.reference).hint(members[0])
      if members.count == 1 {
        parts.append(BlamePart(members[0], hint: hint))
        continue
      }
      let layer = members[0].layer
      parts.append(
        BlamePart(
          .expert, name: "model.layers.\(layer ?? 0).mlp.experts.\(expert)", layer: layer,
          tensors: members, hint: hint))
    }
    return parts
  }

  /// The tensors of those `count` experts whose weights are furthest off, a token that uses one
  /// counting once.
  private func heaviest(
    _ tensors: [TensorDifference], _ layers: [LogitsComparison.Layer]
  ) -> [TensorDifference] {
    let uses = layers.first { $0.index == tensors.first?.layer }?.own?.experts ?? []
    let perExpert = Dictionary(uses.map { ($0.index, $0.uses + $0.candidateUses) }) { $0 + $1 }
    let groups = Dictionary(grouping: tensors) { $0.expert ?? 0 }
    let order = groups.map { expert, members in
      (expert, TensorDifference.joined(members).badness * Double(perExpert[expert] ?? 0))
    }.sorted { ($0.1, $1.0) > ($1.1, $0.0) }
    return order.prefix(count).flatMap { groups[$0.0] ?? [] }
  }

  /// What each part adds, as many at a time as there is room for.
  private func measure(
    _ parts: [BlamePart], snapshots: inout [Int: Activations], keep: Set<Int>,
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> [Blame] {
    var results: [Blame] = []
    for start in stride(from: 0, to: parts.count, by: room.variants) {
      let group = Array(parts[start..<min(start + room.variants, parts.count)])
      var sweep = try BlameSweep(models, parts: group, batch: batch)
      try sweep.run(snapshots: &snapshots, keep: keep, progress: progress)
      for (part, result) in zip(group, sweep.results) {
        results.append(
          Blame(
            kind: part.kind, name: part.name, layer: part.layer, tensors: part.tensors.count,
            bytes: part.kind == .config ? nil : stored.count(of: part.tensors),
            klMean: result.kl, logitsNmse: result.nmse, weightNmse: part.weightNmse,
            hint: part.hint))
      }
    }
    return results
  }
}

/// Tells whether an expert's place is taken by another one.
private struct ExpertOrder {
  let comparison: WeightComparison
  let config: ModelConfig
  /// Cosine from which two rows count as one: far above chance, and below what any rounding does.
  private static let likeness = 0.9

  init(_ comparison: WeightComparison, config: ModelConfig) {
    self.comparison = comparison
    self.config = config
  }

  /// Says so where the first row of an expert's matrix is that of another expert.
  func hint(_ tensor: TensorDifference) throws(Fault) -> String? {
    guard let layer = tensor.layer, let expert = tensor.expert else { return nil }
    let prefix = "model.layers.\(layer).mlp.experts."
    guard let range = suffix(of: tensor.name, after: prefix + "\(expert).") else { return nil }
    let found = try comparison.values(comparison.candidate, tensor.name, rows: 0..<1)
    var best = (expert: expert, cosine: -1.0)
    for other in 0..<config.routedExperts {
      let row = try comparison.values(
        comparison.reference, "\(prefix)\(other).\(range)", rows: 0..<1)
      let product = zip(row.values, found.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      let norms = Mathematics.pow(row.energy * found.energy, 0.5)
      if norms > 0, product / norms > best.cosine { best = (other, product / norms) }
    }
    guard best.expert != expert, best.cosine > ExpertOrder.likeness else { return nil }
    return "\(prefix)\(expert) of the candidate is what the reference has as expert \(best.expert)"
  }

  private func suffix(of name: String, after prefix: String) -> String? {
    name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : nil
  }
}
