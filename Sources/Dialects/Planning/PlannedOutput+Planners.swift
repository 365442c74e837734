internal import Formats
internal import Models
package import Platform
internal import Tensors

extension Recipe.Target {
  /// What a format's planner makes of a source: the one place that knows all planners.
  package func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
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
  package func output() throws(Fault) -> PlannedOutput {
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
  package func output() throws(Fault) -> PlannedOutput {
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
  package func output(_ recipe: Recipe, _ source: SourceModel) throws(Fault) -> PlannedOutput {
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
