package import Formats
package import Platform
internal import Weights

/// What of a recipe is one format's own. Each format that is written has one, in its folder; nothing
/// else asks which format it is.
package protocol DialectRecipe: Sendable {
  /// Whether the files stand in a folder of their own.
  var isFolder: Bool { get }
  /// What columns weigh; nil where they all weigh the same.
  var importance: ImportanceMatrix? { get }
  /// What the format's planner makes of a source.
  ///
  /// - Throws: `.malformed` for a source that is not sound; `.usage` for a recipe that it cannot
  ///   follow.
  func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput
  /// What a plan's document says of the recipe, in the words of the command line.
  func json(_ recipe: Recipe) -> JSONObject
  /// Whether all of a source stays what it is, in its own format: whatever network that is, it stays
  /// that one.
  func copies(_ source: SourceModel, _ recipe: Recipe) -> Bool
  /// Whether weights stay stored as they are, so that what tells of their storage still holds.
  func keepsStorage(_ recipe: Recipe) -> Bool
  /// The name of the type that weights should get and that no tensor could be stored in; nil where
  /// some were, or none was asked for.
  func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String?
}

extension DialectRecipe {
  /// In a folder.
  package var isFolder: Bool { true }
  /// All weigh the same.
  package var importance: ImportanceMatrix? { nil }
  /// What another format has is made anew.
  package func copies(_ source: SourceModel, _ recipe: Recipe) -> Bool { false }
  /// What another format has is stored otherwise.
  package func keepsStorage(_ recipe: Recipe) -> Bool { false }

  /// What all of the documents have, with what one has before the size of its files.
  func json(
    to target: Dialect.Target, quant: String?, more: JSONObject = [:], shardLimit: Int?,
    _ recipe: Recipe
  ) -> JSONObject {
    var json: JSONObject = [
      "to": .string(target.rawValue), "quant": quant.map { .string($0) } ?? .null,
      "mtp": .string(recipe.mtp.rawValue),
    ]
    for key in more.keys { json[key] = more[key] }
    json["maxShardSize"] = shardLimit.map { .integer($0) } ?? .null
    if let block = recipe.blockSize {
      json["blockSize"] = .array([.integer(block.rows), .integer(block.columns)])
    }
    if let format = recipe.scaleFormat { json["scaleFormat"] = .string(format.rawValue) }
    return json
  }

  /// Whether a weight is stored as codes.
  func hasCodes(_ tensors: [PlannedTensor]) -> Bool {
    tensors.contains { !SourceWeights.plainTypes.contains($0.entry.type) }
  }
}

extension Recipe {
  /// The `recipe` of a plan's document: what was asked for, in the words of the command line.
  package var json: JSONObject {
    var json = target.own.json(self)
    if ignoresUnknown { json["ignoreUnknown"] = true }
    return json
  }

  /// The same without paths of the machine.
  package var portableJSON: JSONObject {
    var json = json
    if let matrix = target.own.importance {
      json["importanceMatrix"] = .string(Folder.name(of: matrix.path).text)
    }
    return json
  }
}
