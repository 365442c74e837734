internal import Formats
internal import Models
public import Platform
internal import Tensors

extension Plan {
  /// Decides everything about a conversion; reads no weight and writes nothing.
  ///
  /// - Parameter resources: bounds the buffers; the bytes of the output do not depend on it.
  /// - Throws: `.malformed` where the source is not what its config implies, `.usage` where the
  ///   recipe cannot be followed.
  public init(
    _ source: SourceModel, recipe: Recipe, resources: Resources = Resources()
  ) throws(Fault) {
    self.recipe = recipe
    output = try recipe.target.output(of: source, recipe)
    let widest = output.tensors.max { $0.indivisibleBytes < $1.indivisibleBytes }
    buffers = try BufferPlan(
      resources, indivisible: widest.map { ($0.entry.name, $0.indivisibleBytes) })
  }
}

extension Recipe.Target {
  /// What a format's planner makes of a source: the one place that knows all planners.
  func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    switch self {
    case .huggingFace: try Planner(source, recipe: recipe).output()
    case .gguf(let gguf):
      if let model = source.gguf {
        try GGUFRequantizer(model, recipe: recipe, gguf: gguf).output(recipe)
      } else {
        try GGUFPlanner(source, recipe: recipe, gguf: gguf).output()
      }
    }
  }
}

extension Planner {
  /// A folder with shards, index and config, and the side files of the source.
  func output() throws(Fault) -> PlannedOutput {
    let layout = try SafetensorsWriterLayout(
      tensors.map(\.entry), shardLimit: recipe.shardLimit ?? Recipe.usualShardLimit)
    let config = ConfigRewriting(
      source: source.checkpoint.config, weights: recipe.weights, fp8: target.fp8,
      dropsMTP: recipe.mtp == .drop
    ).text()
    var documents = layout.index.map {
      [PlannedDocument(name: SafetensorsIndex.fileName, kind: .index, bytes: $0)]
    }
    documents =
      (documents ?? []) + [
        PlannedDocument(name: "config.json", kind: .config, bytes: config)
      ]
    return PlannedOutput(
      tensors: tensors, layout: layout.output, documents: documents ?? [],
      sideFiles: source.sideFiles, dropped: dropped, warnings: warnings)
  }
}

extension GGUFPlanner {
  /// One file, or splits of it.
  func output() throws(Fault) -> PlannedOutput {
    PlannedOutput(
      tensors: tensors,
      layout: try GGUFWriterLayout.layout(
        tensors.map(\.entry), metadata: metadata, name: recipe.outputName,
        division: .limit(recipe.shardLimit ?? .max)),
      dropped: dropped, warnings: warnings, isFolder: false, refusesNonFinite: true)
  }
}

extension GGUFRequantizer {
  /// One file, or splits of it, which may be those of the source.
  func output(_ recipe: Recipe) throws(Fault) -> PlannedOutput {
    PlannedOutput(
      tensors: tensors,
      layout: try GGUFWriterLayout.layout(
        tensors.map(\.entry), metadata: metadata, name: recipe.outputName,
        division: splits.map { .counts($0) } ?? .limit(recipe.shardLimit ?? .max)),
      dropped: dropped, warnings: warnings, isFolder: false, refusesNonFinite: true)
  }
}
