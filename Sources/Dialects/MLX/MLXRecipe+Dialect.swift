internal import Naming
package import Platform

extension MLXRecipe: DialectRecipe {
  /// See `DialectRecipe`.
  package func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    try MLXPlanner(source, recipe: recipe, mlx: self).output()
  }

  /// See `DialectRecipe`.
  package func json(_ recipe: Recipe) -> JSONObject {
    var json = json(
      to: .mlx, quant: storage?.name, more: ["layout": .string(layout.rawValue)],
      shardLimit: recipe.shardLimit ?? MLXRecipe.usualShardLimit, recipe)
    if case .groups(let setting) = storage?.kind {
      json["groupSize"] = .integer(setting.groupSize)
    }
    return json
  }

  /// See `DialectRecipe`.
  package func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String? {
    guard case .groups? = storage?.kind, !hasCodes(tensors) else { return nil }
    return storage?.name
  }
}
