internal import Platform

/// A folder in compressed-tensors' formats.
struct CompressedOutput: DialectRecipe {
  /// The scheme that was asked for; nil where every weight keeps the one that it has.
  let recipe: CompressedRecipe?

  func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    try Planner(source, recipe: recipe).output()
  }

  func json(_ recipe: Recipe) -> JSONObject {
    json(
      to: .compressedTensors, quant: self.recipe?.name,
      shardLimit: recipe.shardLimit ?? Recipe.usualShardLimit, recipe)
  }

  func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String? {
    guard let asked = self.recipe, !hasCodes(tensors) else { return nil }
    return asked.name
  }
}
