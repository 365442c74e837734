internal import Formats
internal import Mixes
internal import Models
internal import Naming
package import Platform
internal import Tensors
internal import Weights

extension GGUFRecipe: DialectRecipe {
  /// See `DialectRecipe`.
  package var isFolder: Bool { false }

  /// See `DialectRecipe`.
  package func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    if let model = source.gguf {
      return try GGUFRequantizer(model, source, recipe: recipe, gguf: self).output()
    }
    return try GGUFPlanner(source, recipe: recipe, gguf: self).output()
  }

  /// See `DialectRecipe`.
  package func json(_ recipe: Recipe) -> JSONObject {
    var json = json(to: .gguf, quant: fileType?.name, shardLimit: recipe.shardLimit, recipe)
    json["pure"] = .bool(isPure)
    json["leaveOutputTensor"] = .bool(leavesOutput)
    json["tensorTypes"] = .array(
      tensorTypes.map { .string("\($0.text)=\($0.type.rawValue)") })
    if let type = base { json["default"] = .string(type.rawValue) }
    if !rules.isEmpty { json["rules"] = .array(rules.map { .object($0.json) }) }
    if keepsSplit { json["keepSplit"] = .bool(true) }
    if let matrix = importance { json["importanceMatrix"] = .string(matrix.path) }
    if !overrides.isEmpty { json["overrides"] = .array(overrides.map { .string($0.text) }) }
    if let type = outputType { json["outputTensorType"] = .string(type.rawValue) }
    if let type = embeddingType { json["tokenEmbeddingType"] = .string(type.rawValue) }
    return json
  }

  /// See `DialectRecipe`.
  package func copies(_ source: SourceModel, _ recipe: Recipe) -> Bool {
    source.format == .gguf && fileType == nil && recipe.mtp == .keep
  }

  /// See `DialectRecipe`.
  package func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String? {
    let type = base ?? fileType?.type
    // A recipe's rules may leave nothing to its default.
    guard let type, type.isBlock,
      !tensors.contains(where: { $0.entry.type == type || base != nil && $0.entry.type.isBlock })
    else { return nil }
    return type.rawValue
  }
}

extension GGUFRecipe {
  /// A line about tensors that are quantized without importance although there is a matrix.
  func importanceWarning(_ tensors: [PlannedTensor]) -> String? {
    guard importance != nil else { return nil }
    let without = tensors.filter {
      $0.importance == nil && $0.entry.type.isBlock && $0.entry.name != "token_embd.weight"
    }
    guard let first = without.first else { return nil }
    return "\(without.count) tensors have no entry in the importance matrix: "
      + first.entry.name.text + (without.count > 1 ? ", …" : "")
  }
}

extension GGUFPlanner {
  /// One file, or splits of it.
  package func output() throws(Fault) -> PlannedOutput {
    try PlannedOutput(
      draft, metadata, unheeded: unheeded,
      division: .limit(draft.recipe.shardLimit ?? .max))
  }
}

extension GGUFRequantizer {
  /// One file, or splits of it, which may be those of the source.
  package func output() throws(Fault) -> PlannedOutput {
    try PlannedOutput(
      draft, metadata, unheeded: unheeded,
      division: splits.map { .counts($0) } ?? .limit(draft.recipe.shardLimit ?? .max))
  }
}

extension PlannedOutput {
  /// A GGUF file, or splits of it.
  fileprivate init(
    _ draft: PlanDraft, _ metadata: Metadata, unheeded: [String],
    division: GGUFWriterLayout.Division
  ) throws(Fault) {
    var metadata = metadata
    metadata.note(draft.recipe, of: draft.tensors, from: draft.source)
    self.init(
      tensors: draft.tensors,
      layout: try GGUFWriterLayout.layout(
        draft.tensors.map(\.entry), metadata: metadata, name: draft.recipe.outputName,
        division: division),
      dropped: draft.dropped, warnings: draft.warnings, unheeded: unheeded,
      refusesNonFinite: true)
  }
}
