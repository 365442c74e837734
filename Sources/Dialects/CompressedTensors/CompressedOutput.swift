internal import Formats
package import Models
package import Platform
internal import Weights

/// A folder in compressed-tensors' formats, or with the same numbers under ModelOpt's names.
package struct CompressedOutput: DialectRecipe {
  /// The word of `--to`.
  let target: Dialect.Target
  /// Whose names tensors get.
  package let maker: CompressedScheme.Maker
  /// The scheme that was asked for; nil where every weight keeps the one that it has.
  package let recipe: CompressedRecipe?

  /// In compressed-tensors' formats.
  package static func compressedTensors(_ recipe: CompressedRecipe?) -> CompressedOutput {
    CompressedOutput(target: .compressedTensors, maker: .compressedTensors, recipe: recipe)
  }

  /// As ModelOpt stores it.
  package static func modelOpt(_ recipe: CompressedRecipe?) -> CompressedOutput {
    CompressedOutput(target: .modelOpt, maker: .modelOpt, recipe: recipe)
  }

  /// What the planner of checkpoints makes of a source; ModelOpt has its settings in a file of their
  /// own besides.
  package func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    let planner = try Planner(source, recipe: recipe)
    var output = try planner.output()
    guard maker == .modelOpt, case .object(let section)? = planner.section else { return output }
    let name = ModelOptStorage.fileName
    let text = ModelOptStorage.document(of: section).text() + "\n"
    output.sideFiles.removeAll { $0.name == name }
    output.documents.append(PlannedDocument(name: name, kind: .side, bytes: Array(text.utf8)))
    return output
  }

  /// What a plan's document says of the recipe.
  package func json(_ recipe: Recipe) -> JSONObject {
    json(
      to: target, quant: self.recipe?.name,
      shardLimit: recipe.shardLimit ?? Recipe.usualShardLimit, recipe)
  }

  /// Whether ModelOpt's own file of settings still holds.
  package func keepsStorage(_ recipe: Recipe) -> Bool { maker == .modelOpt && self.recipe == nil }

  /// The scheme's name where one was asked for and no tensor has codes.
  package func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String? {
    guard let asked = self.recipe, !hasCodes(tensors) else { return nil }
    return asked.name
  }
}
