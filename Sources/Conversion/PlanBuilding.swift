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
    var output = try recipe.target.output(of: source, recipe)
    try output.layout.requireReadable()
    if let growth = output.growth(over: source.checkpoint.inventory) {
      output.warnings.append(growth)
    }
    self.output = output
    manifest =
      recipe.writesManifest
      ? try PlannedManifest(of: output, files: output.files, recipe: recipe, source: source) : nil
    let widest = output.tensors.max { $0.indivisibleBytes < $1.indivisibleBytes }
    buffers = try BufferPlan(
      resources, indivisible: widest.map { ($0.entry.name, $0.indivisibleBytes) },
      kept: KeptParts.mostBytes(output))
  }
}

extension PlannedOutput {
  /// A line where weights lose by being quantized anew and yet take more room than before.
  fileprivate func growth(over inventory: Inventory) -> String? {
    guard tensors.contains(where: { $0.treatment == "requantized" }) else { return nil }
    var isUsed = [Bool](repeating: false, count: inventory.tensors.count)
    var before = 0
    for tensor in tensors {
      tensor.assembly.forEachStored { stored in
        // A stack is one tensor and serves many.
        guard !isUsed[stored.index] else { return }
        isUsed[stored.index] = true
        before += inventory.tensors[stored.index].byteCount
      }
    }
    guard layout.totalSize > before else { return nil }
    return "the model grows from \(before) to \(layout.totalSize) bytes of tensors, although codes "
      + "are quantized anew: nothing is gained"
  }
}

extension Recipe.Target {
  /// What a format's planner makes of a source: the one place that knows all planners.
  func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    switch self {
    case .huggingFace, .compressedTensors: try Planner(source, recipe: recipe).output()
    case .deepSeek(let shards):
      try NativePlanner(source, recipe: recipe, count: shards).output()
    case .gguf(let gguf):
      if let model = source.gguf {
        try GGUFRequantizer(model, recipe: recipe, gguf: gguf).output(recipe, source)
      } else {
        try GGUFPlanner(source, recipe: recipe, gguf: gguf).output()
      }
    case .mlx(let mlx): try MLXPlanner(source, recipe: recipe, mlx: mlx).output()
    }
  }
}

extension Planner {
  /// A folder with shards, index and config, and the side files of the source.
  func output() throws(Fault) -> PlannedOutput {
    let layout = try SafetensorsWriterLayout(
      tensors.map(\.entry), shardLimit: recipe.shardLimit ?? Recipe.usualShardLimit,
      metadata: [("format", "pt")] + recipe.provenance(of: tensors, from: source),
      notes: recipe.sourceHashes(of: tensors, from: source))
    let config = ConfigRewriting(
      source: source.networkConfig, config: source.config, weights: recipe.weights, fp8: target.fp8,
      section: section, dropsMTP: recipe.mtp == .drop
    ).text()
    var documents: [PlannedDocument] = []
    if let index = layout.index {
      documents.append(
        PlannedDocument(name: SafetensorsIndex.fileName, kind: .index, bytes: index))
    }
    documents.append(PlannedDocument(name: "config.json", kind: .config, bytes: config))
    let rebuilt = RebuiltFiles(source)
    return PlannedOutput(
      tensors: tensors, layout: layout.output, documents: documents + rebuilt.documents,
      sideFiles: source.sideFiles, dropped: dropped, warnings: warnings,
      lost: rebuilt.lost)
  }
}

extension GGUFPlanner {
  /// One file, or splits of it.
  func output() throws(Fault) -> PlannedOutput {
    var metadata = metadata
    metadata.note(recipe, of: tensors, from: source)
    return PlannedOutput(
      tensors: tensors,
      layout: try GGUFWriterLayout.layout(
        tensors.map(\.entry), metadata: metadata, name: recipe.outputName,
        division: .limit(recipe.shardLimit ?? .max)),
      dropped: dropped, warnings: warnings, unheeded: unheeded, isFolder: false,
      refusesNonFinite: true)
  }
}

extension GGUFRequantizer {
  /// One file, or splits of it, which may be those of the source.
  func output(_ recipe: Recipe, _ source: SourceModel) throws(Fault) -> PlannedOutput {
    var metadata = metadata
    metadata.note(recipe, of: tensors, from: source)
    return PlannedOutput(
      tensors: tensors,
      layout: try GGUFWriterLayout.layout(
        tensors.map(\.entry), metadata: metadata, name: recipe.outputName,
        division: splits.map { .counts($0) } ?? .limit(recipe.shardLimit ?? .max)),
      dropped: dropped, warnings: warnings, unheeded: unheeded, isFolder: false,
      refusesNonFinite: true)
  }
}
