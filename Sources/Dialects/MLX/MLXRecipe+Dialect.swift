internal import Mixes
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
    if let setting = storage?.setting { json["groupSize"] = .integer(setting.groupSize) }
    if !rules.isEmpty { json["rules"] = .array(rules.map { .object($0.json) }) }
    return json
  }

  /// See `DialectRecipe`.
  package func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String? {
    guard storage?.setting != nil, !hasCodes(tensors) else { return nil }
    return storage?.name
  }
}
