internal import Codecs
internal import Conversion
internal import Dialects
package import Formats
internal import Mixes
internal import Models
package import Passes
package import Platform
internal import Reference
package import Tensors
internal import Verification
internal import Weights

/// What a recipe is asked for.
package struct RecipeRequest: Sendable {
  /// What the recipe must keep to.
  package enum Goal: Sendable {
    /// Bits per weight of the whole file at most.
    case bitsPerWeight(Double)
    /// Bytes of its tensors at most.
    case bytes(Int)
    /// Predicted mean KL divergence at most, the file being as small as can be.
    case divergence(Double)
  }

  /// Token sequences to measure on.
  package var sequences: [[Int]]
  /// What the text is called.
  package var text: String
  /// What it must keep to.
  package var goal: Goal
  /// Types to choose from; nil for all that are usual at this size.
  package var types: [ElementType]?
  /// Groups of tensors that get one type, at most.
  package var groups = 20
  /// What columns weigh.
  package var importance: ImportanceMatrix?
  /// Threads to work with.
  package var threads = Workers.available
  /// Bytes that the process may take; nil for the customary limit.
  package var memory: Int?

  /// Asks for a recipe.
  package init(sequences: [[Int]], text: String, goal: Goal) {
    (self.sequences, self.text, self.goal) = (sequences, text, goal)
  }

  /// The types that are tried where none are named: those below 3 bits where there is an importance
  /// matrix, without which they are no choice.
  var candidates: [ElementType] {
    if let types { return types }
    let plain: [ElementType] = [.q2K, .q3K, .iq4XS, .q4K, .q5K, .q6K, .q80]
    return importance == nil ? plain : [.iq1M, .iq2XXS, .iq2S, .iq3XXS, .iq3S] + plain
  }
}

/// Chooses types by measurement: what each group of tensors loses in each type, alone, is measured as
/// KL divergence; losses of different groups add up, nearly; and the best sum within the budget is
/// the recipe. What all together lose is measured at the end.
///
/// A pass of the reference carries many variants beside it, each with one group in one type, and
/// reads the reference's weights once for all.
package struct RecipeRun {
  /// How long it will take; nil where that is not long.
  package let forecast: Forecast?
  private let request: RecipeRequest
  private let config: ModelConfig
  private let weights: CheckpointWeights
  private let batch: TokenBatch
  private let sweep: VariantSweep
  private let groups: [RecipeGroup]
  /// Types that each group can have.
  private let options: [[ElementType]]
  /// By type, the plan of a file in which every tensor has it that can.
  private let plans: [ElementType: [ExactText: OutputLayout.Entry]]
  /// Bytes of tensors that no group has.
  private let rest: Int
  /// Weights of the model.
  private let parameters: Int
  /// What a file's tensors are made of.
  private let made: [ExactText: DialectTensor]

  /// Plans files and divides the memory; no weight is read.
  ///
  /// - Throws: what planning a conversion and `LogitsRun` throw; `.usage` for types that cannot be
  ///   written.
  package init(_ files: ModelFiles, _ request: RecipeRequest) throws(Fault) {
    (self.request, config) = (request, files.config)
    guard config.v4 == nil else {
      throw Fault(
        .usage, "is DeepSeek-V4, for which no types are chosen by measurement",
        expected: "another network", found: "model_type \(config.modelType)")
    }
    parameters = ModelSize(files).parameters
    made = Dictionary(
      config.deepSeek2Tensors().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let types = request.candidates
    let widest = try RecipeRun.plan(files, .q80, sparing: [], request)
    var plans = [ElementType.q80: RecipeRun.entries(widest)]
    // What a matrix says nothing of cannot have types that llama-quantize refuses without one.
    let unknown = widest.tensors.filter { tensor in
      tensor.entry.type.isBlock
        && request.importance?.names.contains(tensor.entry.name) != true
    }.map(\.entry.name)
    if request.importance == nil, let type = types.first(where: TypeMix.demandsImportance) {
      throw Fault(
        .usage, "\(type.rawValue) needs an importance matrix", expected: "--imatrix")
    }
    for type in types where type != .q80 {
      let spared = TypeMix.demandsImportance(type) ? unknown : []
      plans[type] = RecipeRun.entries(
        try RecipeRun.plan(files, type, sparing: spared, request))
    }
    self.plans = plans
    groups = RecipeGroup.all(
      widest.tensors.filter(\.entry.type.isBlock).compactMap { [made] in made[$0.entry.name] },
      config: config, most: request.groups)
    let grouped = Set(groups.flatMap(\.tensors))
    options = groups.map { group in
      let isUnknown = !Set(unknown).isDisjoint(with: group.tensors)
      let offered = types.filter { !isUnknown || !TypeMix.demandsImportance($0) }
      return offered.isEmpty ? [.q80] : offered
    }
    rest = widest.tensors.reduce(0) {
      $0 + (grouped.contains($1.entry.name) ? 0 : $1.entry.byteCount)
    }
    batch = try TokenBatch(request.sequences, vocabSize: config.vocabSize)
    weights = try CheckpointWeights(files.weights, config: config, mtp: false)
    sweep = try VariantSweep(
      config, weights, batch: batch, threads: request.threads, memory: request.memory)
    // Every variant is a pass by itself, of the layers from its first on.
    let variants = options.reduce(0) { $0 + $1.count }
    let reads = (variants + sweep.together - 1) / sweep.together + 1
    let lengths = batch.lengths()
    forecast = try Forecast(
      files, lengths: (0..<variants + reads).flatMap { _ in lengths },
      passes: 1, mtpLayers: 0, threads: sweep.threads)
  }

  /// The file in which every tensor has a type that can, but for some, which have Q8_0.
  private static func plan(
    _ files: ModelFiles, _ type: ElementType, sparing names: [ExactText], _ request: RecipeRequest
  ) throws(Fault) -> Plan {
    var recipe = GGUFRecipe(GGUFFileType.mostly(type) ?? .mxfp4MoE, base: type)
    recipe.importance = request.importance
    recipe.allowsRequantizing = true
    for name in names {
      recipe.tensorTypes.append(try TensorTypeRule(.glob(name.text), .q80))
    }
    var whole = Recipe(target: .gguf(recipe), outputName: "model.gguf")
    whole.writesManifest = false
    return try Plan(files.source, recipe: whole, resources: Resources(threads: request.threads))
  }

  private static func entries(_ plan: Plan) -> [ExactText: OutputLayout.Entry] {
    Dictionary(
      plan.tensors.map { ($0.entry.name, $0.entry) }, uniquingKeysWith: { first, _ in first })
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
    var losses = try sweep.losses(of: variants, progress: progress)[...]
    let choice = RecipeChoice(
      groups: groups.indices.map { group in
        let own = losses.prefix(options[group].count)
        losses = losses.dropFirst(own.count)
        return zip(options[group], own).map { type, loss in
          RecipeChoice.Option(bytes: bytes(group, type), loss: loss)
        }
      })
    let chosen = try best(choice)
    let parts = [part(groups.indices.map { ($0, options[$0][chosen[$0]]) }, name: "all")]
    let measured = try sweep.losses(of: parts) { _, _ in }[0]
    let total = choice.bytes(of: chosen) + rest
    return MeasuredRecipe(
      text: request.text, tokens: batch.rows(), bytes: total, parameters: parameters,
      predicted: choice.loss(of: chosen), measured: measured,
      bound: choice.bound(within: choice.bytes(of: chosen)),
      groups: groups.enumerated().map { index, group in
        MeasuredRecipe.Group(
          name: group.name, tensors: group.tensors, parameters: group.parameters,
          chosen: options[index][chosen[index]],
          options: zip(options[index], choice.groups[index]).map { type, option in
            MeasuredRecipe.Option(type: type, bytes: option.bytes, divergence: option.loss)
          })
      })
  }

  private func best(_ choice: RecipeChoice) throws(Fault) -> [Int] {
    let limit: Int
    switch request.goal {
    case .divergence(let most):
      if let found = choice.smallest(losing: most) { return found }
      let least = choice.groups.reduce(0) { $0 + ($1.map(\.loss).min() ?? 0) }
      throw Fault(
        .usage, "no choice of these types keeps to --max-kl", expected: "at least \(least)",
        found: "\(most)")
    case .bitsPerWeight(let bits): limit = Int(bits * Double(parameters) / 8)
    case .bytes(let bytes): limit = bytes
    }
    if let found = choice.best(within: limit - rest) { return found }
    let least = choice.groups.reduce(rest) { $0 + ($1.map(\.bytes).min() ?? 0) }
    throw Fault(
      .usage, "no choice of these types is so small",
      expected:
        "at least \(ByteSize(bytes: least)), \(Double(8 * least) / Double(parameters)) bits per weight",
      found: "\(ByteSize(bytes: limit))")
  }

  private func bytes(_ group: Int, _ type: ElementType) -> Int {
    groups[group].tensors.reduce(0) { $0 + (plans[type]?[$1]?.byteCount ?? 0) }
  }

  /// Some groups, each in a type, in the place of what the reference has.
  private func part(_ choice: [(group: Int, type: ElementType)], name: String)
    -> VariantSweep.Variant
  {
    var forms: [String: [StoredForm]] = [:]
    for (group, type) in choice {
      for name in groups[group].tensors {
        guard let tensor = made[name], let entry = plans[type]?[name],
          (tensor.layer ?? 0) < config.layers
        else { continue }
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
              tensor: name, type: entry.type, form: tensor.form, matrix: (place / pairs, count)))
        }
      }
    }
    return VariantSweep.Variant(
      name, layers: choice.reduce(into: Set<Int>()) { $0.formUnion(groups[$1.group].layers) },
      tensors: Array(forms.keys),
      weights: QuantizedWeights(
        base: weights, config: config, importance: request.importance, forms: forms))
  }
}
