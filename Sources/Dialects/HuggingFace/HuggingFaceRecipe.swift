internal import Formats
internal import Models
package import Platform
internal import Tensors
internal import Weights

/// A Hugging Face checkpoint: all that is asked of it stands in the recipe's common part.
struct HuggingFaceRecipe: DialectRecipe {
  func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    try Planner(source, recipe: recipe).output()
  }

  func json(_ recipe: Recipe) -> JSONObject {
    json(
      to: .hf, quant: recipe.weights?.name,
      shardLimit: recipe.shardLimit ?? Recipe.usualShardLimit, recipe)
  }

  func copies(_ source: SourceModel, _ recipe: Recipe) -> Bool {
    source.format == .safetensors && recipe.weights == nil && recipe.mtp == .keep
  }

  func keepsStorage(_ recipe: Recipe) -> Bool { recipe.weights == nil }

  func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String? {
    recipe.missingFP8(in: tensors)
  }
}

extension Recipe {
  /// `FP8` where it was asked for and no tensor has it.
  func missingFP8(in tensors: [PlannedTensor]) -> String? {
    guard weights?.type == .f8E4M3, !tensors.contains(where: { $0.entry.type == .f8E4M3 }) else {
      return nil
    }
    return "FP8"
  }
}

extension Planner {
  /// A folder with shards, index and config, and the side files of the source.
  package func output() throws(Fault) -> PlannedOutput {
    let layout = try SafetensorsWriterLayout(
      draft.tensors.map(\.entry), shardLimit: recipe.shardLimit ?? Recipe.usualShardLimit,
      metadata: [("format", "pt")] + recipe.provenance(of: draft.tensors, from: source),
      notes: recipe.sourceHashes(of: draft.tensors, from: source))
    let config = ConfigRewriting(
      source: source.networkConfig, config: source.config, weights: recipe.weights, fp8: target.fp8,
      section: section, declaresFP4: section != nil && target.v4?.hasFP4Experts == true,
      plainTypeName: WeightStorage.all.first { $0.type == target.dataType }?.dataTypeName,
      dropsMTP: recipe.mtp == .drop
    ).text()
    var documents: [PlannedDocument] = []
    if let index = layout.index {
      documents.append(
        PlannedDocument(name: SafetensorsIndex.fileName, kind: .index, bytes: index))
    }
    documents.append(PlannedDocument(name: "config.json", kind: .config, bytes: config))
    let rebuilt = RebuiltFiles(source)
    return PlannedOutput(
      tensors: draft.tensors, layout: layout.output, documents: documents + rebuilt.documents,
      sideFiles: source.sideFiles, dropped: draft.dropped, warnings: warnings,
      lost: rebuilt.lost)
  }
}
