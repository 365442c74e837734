internal import Platform
internal import Weights

/// Model-parallel shards for DeepSeek's own code.
struct NativeRecipe: DialectRecipe {
  /// Shards that the model is divided into.
  let shards: Int

  func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    try NativePlanner(source, recipe: recipe, count: shards).output()
  }

  func json(_ recipe: Recipe) -> JSONObject {
    // A shard is as large as its part of the model.
    var json = json(to: .deepseek, quant: recipe.weights?.name, shardLimit: nil, recipe)
    json["mp"] = .integer(shards)
    return json
  }

  func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String? {
    recipe.missingFP8(in: tensors)
  }
}
