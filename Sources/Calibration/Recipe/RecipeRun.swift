internal import Formats
internal import Models
package import Passes
package import Platform
internal import Reference
internal import Tensors
internal import Verification

/// Chooses types by measurement: what each group of tensors loses in each type, alone, is measured as
/// KL divergence; losses of different groups add up, nearly; and the best sum within the budget is
/// the recipe. What all together lose is measured at the end.
///
/// A pass of the reference carries many variants beside it, each with one group in one type, and
/// reads the reference's weights once for all.
package struct RecipeRun {
  /// How long it will take; nil where that is not long.
  package let forecast: Forecast?
  /// What a user should know of the evidence.
  package let notes: [String]
  /// Bytes that the recipe will have at most.
  package let mostBytes: Int
  private let request: RecipeRequest
  private let config: ModelConfig
  private let weights: CheckpointWeights
  private let batch: TokenBatch
  private let sweep: VariantSweep
  private let globalScales = GlobalScales()
  private let space: RecipeSpace
  private let made: [ExactText: DialectTensor]
  private let groups: [RecipeGroup]
  private let subject: RecipeEvidence.Subject
  /// Types that each group can have.
  private let options: [[String]]
  /// What all groups lose in each of their types, and then the standard mixes, where that was measured
  /// before.
  private let known: [Double?]
  /// What whole choices lose, where that was measured of the same groups and types before.
  private let earlierTogether: JointLoss?
  /// Weights of the model.
  private let parameters: Int

  /// Plans conversions and divides the memory; no weight is read.
  ///
  /// - Parameter path: the model's, beside which its manifest is looked for.
  /// - Throws: what planning a conversion and `LogitsRun` throw; `.usage` for types that cannot be
  ///   written, and for evidence of something else.
  package init(_ path: String, _ files: ModelFiles, _ request: RecipeRequest) throws(Fault) {
    (self.request, config) = (request, files.config)
    // GGUF files of DeepSeek-V4 hold no layers that predict further tokens.
    parameters = ModelSize(files, countsMTP: config.v4 == nil).parameters
    let space = try RecipeSpace(files, request)
    self.space = space
    made = Dictionary(
      space.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    groups = RecipeGroup.all(
      space.tensors, for: request.target, config: config, most: request.groups)
    options = groups.map { space.types(for: $0.tensors) }
    mostBytes = MeasuredRecipe.mostBytes(zip(groups, options).map { ($0, $1.count) })
    guard mostBytes <= request.mostBytes else {
      throw Fault(
        .usage, "the recipe could not be read again, so large would it be",
        expected: "at most \(request.mostBytes) bytes: fewer --groups or --types",
        found: "up to \(mostBytes) bytes for \(groups.count) groups")
    }
    batch = try TokenBatch(request.sequences, vocabSize: config.vocabSize)
    weights = try CheckpointWeights(files.weights, config: config, mtp: false)
    sweep = try VariantSweep(
      config, weights, batch: batch, threads: request.threads, memory: request.memory)
    let model = ModelHash(path, files)
    notes =
      request.evidence != nil && model.subject == .headers
      ? [
        "the evidence is of a model with the same headers and config; whether it had the same weights is "
          + "not known, since no manifest stands beside it"
      ] : []
    subject = RecipeEvidence.Subject(
      model, tokens: request.sequences, imatrix: try request.importance?.hash())
    try request.evidence?.require(subject, for: request.target)
    known =
      zip(groups, options).flatMap { group, types in
        types.map { type in
          request.evidence?.loss(
            of: group, in: type, bytes: space.bytes(of: group.tensors, in: type))
        }
      } + space.standards.map { request.evidence?.loss(ofMix: $0.name, bytes: $0.bytes) }
    earlierTogether = known.allSatisfy { $0 != nil } ? request.evidence?.together : nil
    // Every variant is a pass by itself, of the layers from its first on.
    let variants = known.count { $0 == nil } + (earlierTogether == nil ? Self.whole : 0)
    let reads = (variants + sweep.together - 1) / sweep.together + 1
    let lengths = batch.lengths()
    forecast = try Forecast(
      files, lengths: (0..<variants + reads).flatMap { _ in lengths },
      passes: 1, mtpLayers: 0, threads: sweep.threads)
  }

  /// Measures and chooses.
  ///
  /// - Parameter progress: called with the work done and all of it.
  /// - Throws: what the forward pass throws; `.usage` where no choice keeps to the goal, with what
  ///   would.
  package func choose(
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> MeasuredRecipe {
    let variants = groups.indices.flatMap { group in
      options[group].map { part([(group, $0)], name: groups[group].name) }
    }
    let standards = space.standards.map { variant($0.name, made.keys, in: $0.storing) }
    let missing = zip(variants + standards, known).filter { $0.1 == nil }.map(\.0)
    let all = [missing.count, earlierTogether == nil ? Self.whole : 0, 1].map(sweep.layers)
      .reduce(0, +)
    var before = 0
    func losses(of variants: [VariantSweep.Variant]) throws(Fault) -> [Double] {
      let found = try sweep.losses(of: variants) { done, _ in progress(before + done, all) }
      before += sweep.layers(of: variants.count)
      return found
    }
    var measured = try losses(of: missing)[...]
    var single = known.map { $0 ?? measured.removeFirst() }[...]
    let choice = RecipeChoice(
      groups: groups.indices.map { group in
        let own = single.prefix(options[group].count)
        single = single.dropFirst(own.count)
        return zip(options[group], own).map { type, loss in
          RecipeChoice.Option(bytes: bytes(group, type), loss: loss)
        }
      })
    let joint = if let earlierTogether { earlierTogether } else { try together(choice, losses) }
    let chosen = try best(choice, joint)
    let whole = try losses(of: [combined(chosen)])[0]
    let total = choice.bytes(of: chosen) + space.rest
    return MeasuredRecipe(
      target: request.target, usual: usual(chosen), text: request.text, tokens: batch.rows(),
      hashes: subject.json, bytes: total, parameters: parameters,
      predicted: joint.predicted(choice.loss(of: chosen)), measured: whole,
      bound: joint.predicted(choice.bound(within: choice.bytes(of: chosen))),
      together: joint.points,
      curve: request.drawsCurve
        ? MeasuredRecipe.Curve(
          frontier: choice.frontier().map { found in
            (
              bytes: choice.bytes(of: found) + space.rest,
              divergence: joint.predicted(choice.loss(of: found))
            )
          },
          standards: zip(space.standards, single).map { mix, loss in
            MeasuredRecipe.Standard(
              name: mix.name, bytes: mix.bytes, divergence: loss,
              predictedOfBest: choice.best(within: mix.bytes - space.rest).map { found in
                joint.predicted(choice.loss(of: found))
              })
          })
        : nil,
      groups: groups.enumerated().map { index, group in
        MeasuredRecipe.Group(
          name: group.name, tensors: group.tensors, parameters: group.parameters,
          chosen: options[index][chosen[index]],
          options: zip(options[index], choice.groups[index]).map { type, option in
            MeasuredRecipe.Option(type: type, bytes: option.bytes, divergence: option.loss)
          })
      })
  }

  /// What no rule is about: what most weights have.
  private func usual(_ chosen: [Int]) -> String? {
    guard !space.defaults.isEmpty else { return space.fallback }
    var weights: [String: Int] = [:]
    for (index, group) in groups.enumerated() {
      weights[options[index][chosen[index]], default: 0] += group.parameters
    }
    return space.defaults.filter { weights[$0] != nil }.max {
      weights[$0, default: 0] < weights[$1, default: 0]
    }
  }

  /// Best choices that are measured as a whole.
  private static let whole = 6

  /// All groups, each in the type that was chosen for it.
  private func combined(_ choice: [Int]) -> VariantSweep.Variant {
    part(groups.indices.map { ($0, options[$0][choice[$0]]) }, name: "all")
  }

  /// What best choices from the smallest to the largest lose as a whole.
  ///
  /// - Parameter measure: gives what variants lose.
  private func together(
    _ choice: RecipeChoice, _ measure: ([VariantSweep.Variant]) throws(Fault) -> [Double]
  ) throws(Fault) -> JointLoss {
    let choices = choice.frontier(points: Self.whole)
    let losses = try measure(choices.map(combined))
    return JointLoss(
      zip(choices, losses).map { JointLoss.Point(sum: choice.loss(of: $0), measured: $1) })
  }

  private func best(_ choice: RecipeChoice, _ joint: JointLoss) throws(Fault) -> [Int] {
    let limit: Int
    switch request.goal {
    case .divergence(let most):
      let worst = choice.groups.reduce(0) { $0 + ($1.map(\.loss).max() ?? 0) }
      if let found = choice.smallest(losing: joint.sum(predicting: most, atMost: worst)) {
        return found
      }
      throw Fault(
        .usage, "no choice of these types keeps to --max-kl",
        expected: "at least \(joint.predicted(choice.leastLoss))", found: "\(most)")
    case .bitsPerWeight(let bits): limit = Int(bits * Double(parameters) / 8)
    case .bytes(let bytes): limit = bytes
    }
    if let found = choice.best(within: limit - space.rest) { return found }
    let least = choice.groups.reduce(space.rest) { $0 + ($1.map(\.bytes).min() ?? 0) }
    throw Fault(
      .usage, "no choice of these types is so small",
      expected:
        "at least \(ByteSize(bytes: least)), \(Double(8 * least) / Double(parameters)) bits per weight",
      found: "\(ByteSize(bytes: limit))")
  }

  private func bytes(_ group: Int, _ type: String) -> Int {
    space.bytes(of: groups[group].tensors, in: type)
  }

  /// Some groups, each in a type, in the place of what the reference has.
  private func part(_ choice: [(group: Int, type: String)], name: String) -> VariantSweep.Variant {
    var storing: [ExactText: RecipeSpace.Storing] = [:]
    for (group, type) in choice {
      for name in groups[group].tensors { storing[name] = space.storing[type]?[name] }
    }
    return variant(name, choice.flatMap { groups[$0.group].tensors }, in: storing)
  }

  /// Some tensors as a conversion would store them, in the place of what the reference has.
  private func variant(
    _ name: String, _ tensors: some Sequence<ExactText>,
    in storing: [ExactText: RecipeSpace.Storing]
  ) -> VariantSweep.Variant {
    var forms: [String: [StoredForm]] = [:]
    var layers: Set<Int> = []
    for name in tensors {
      guard let tensor = made[name], let stored = storing[name],
        (tensor.layer ?? 0) < config.layers
      else { continue }
      if let layer = tensor.layer { layers.insert(layer) }
      if case .kept = stored.encoding { continue }
      let pairs = tensor.form == .expertPairs ? 2 : 1
      let count =
        switch tensor.form {
        case .whole, .beside: 1
        case .experts, .expertPairs: tensor.sources.count / pairs
        case .keyHeads, .valueHeads: config.heads
        }
      for (place, source) in tensor.sources.enumerated() {
        forms[source.text, default: []].append(
          StoredForm(
            tensor: name, encoding: stored.encoding, form: tensor.form,
            matrix: (place / pairs, count)))
      }
    }
    return VariantSweep.Variant(
      name, layers: layers, tensors: Array(forms.keys),
      weights: QuantizedWeights(
        base: weights, config: config, importance: request.importance, forms: forms,
        globalScales: globalScales))
  }
}
