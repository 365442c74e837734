internal import Formats
internal import Models
internal import Platform
package import Weights

/// What all planners share while they decide: which layers the output has, which weights of the
/// source it is made of, and what is said of the others.
package struct PlanDraft {
  /// What is converted.
  package let source: SourceModel
  /// What the user asked for.
  package let recipe: Recipe
  /// MTP layers that have tensors, whatever the config says.
  var presentMTPLayers: Int { source.presentMTPLayers }
  /// The output's tensors, in the order in which they were decided.
  private(set) var tensors: [PlannedTensor] = []
  /// What the output has nothing of.
  var dropped: [DroppedTensor] = []
  /// What the user should know, a line each.
  var warnings: [String] = []
  /// Whether the output is made of a weight, by its place in those of the source.
  private var isUsed: [Bool]

  /// Begins with nothing decided.
  init(_ source: SourceModel, _ recipe: Recipe) {
    self.source = source
    self.recipe = recipe
    isUsed = [Bool](repeating: false, count: source.weights.all.count)
  }

  /// Throws what is wrong with the source, in the layers that the output has.
  func check() throws(Fault) {
    try SourceCheck(source: source, mtp: recipe.mtp).run()
  }

  // MARK: Layers

  /// The source's config with the MTP layers that are kept.
  var keptConfig: ModelConfig {
    var config = source.config
    config.mtpLayers = recipe.mtp == .drop ? 0 : presentMTPLayers
    return config
  }

  /// Whether a weight is of an MTP layer, declared or not.
  func isMTP(_ name: ExactText) -> Bool {
    (ModelConfig.layer(of: name) ?? -1) >= source.config.layers
  }

  /// Why the output has nothing of a weight's layer; nil where it has that layer.
  func absence(ofLayerOf name: ExactText) -> String? {
    guard recipe.mtp != .keep else { return nil }
    switch (isMTP(name), recipe.mtp) {
    case (true, .drop): return "--mtp drop leaves MTP layers out"
    case (false, .only): return "--mtp only keeps MTP layers alone"
    default: return nil
    }
  }

  // MARK: Tensors

  /// The weights that a dialect's tensor is made of, used from now on.
  ///
  /// - Returns: nil where one is not there: what must be was checked, copies of embedding and head
  ///   need not.
  mutating func parts(of tensor: DialectTensor) -> [Assembly]? {
    let places = tensor.sources.compactMap(source.weights.place(of:))
    guard places.count == tensor.sources.count else { return nil }
    for place in places { isUsed[place] = true }
    return places.map { source.weights.all[$0].assembly }
  }

  /// Adds a tensor of the output.
  ///
  /// - Parameters:
  ///   - entry: its name, type, shape and size; nil where no file can have it.
  ///   - name: what a fault calls it.
  /// - Throws: `.malformed` where no file can have it.
  mutating func add(
    _ entry: OutputLayout.Entry?, _ assembly: Assembly, _ operation: Operation, _ reason: String,
    of name: ExactText, isCarried: Bool = false
  ) throws(Fault) {
    guard let entry else {
      throw Fault(
        .malformed, "becomes too large, or does not fill whole words",
        file: source.weights.path(of: assembly.first.tensor), tensor: name)
    }
    add(
      PlannedTensor(
        entry: entry, assembly: assembly, operation: operation, reason: reason,
        isCarried: isCarried))
  }

  /// Adds a tensor that was decided.
  mutating func add(_ tensor: PlannedTensor) { tensors.append(tensor) }

  /// Notes every weight that nothing of the output is made of.
  ///
  /// - Parameters:
  ///   - other: why, for another part of the model than the network.
  ///   - mtp: why, for weights of MTP layers, where that is not `none`.
  ///   - none: why, for all others.
  mutating func dropUnused(other: String, mtp: String? = nil, none: String) {
    for (weight, isUsed) in zip(source.weights.all, isUsed) where !isUsed {
      let reason =
        source.config.isOther(weight.name) ? other : isMTP(weight.name) ? mtp ?? none : none
      dropped += weight.dropped(absence(ofLayerOf: weight.name) ?? reason)
    }
  }
}

extension SourceWeight {
  /// What a report says where an output has nothing of it: its name, and those of its scales.
  package func dropped(_ reason: String) -> [DroppedTensor] {
    let scales = assembly.leaves.flatMap { $0.scaling?.stored ?? [] }
    return ([name] + scales.map(\.name)).map { DroppedTensor(name: $0, reason: reason) }
  }
}
