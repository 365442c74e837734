internal import Formats
public import Platform
internal import Tensors

extension Plan {
  /// What was asked for, as reports show it and as an unfinished conversion is told from others.
  public var recipeDocument: JSONValue {
    if case .gguf(let gguf) = recipe.target { return .object(document(of: gguf)) }
    var document: JSONObject = [
      "to": .string("hf"), "quant": recipe.weights.map { .string($0.name) } ?? .null,
      "mtp": .string(recipe.mtp.rawValue),
      "maxShardSize": .integer(recipe.shardLimit ?? Recipe.usualShardLimit),
    ]
    if let block = recipe.blockSize {
      document["blockSize"] = .array([.integer(block.rows), .integer(block.columns)])
    }
    if let format = recipe.scaleFormat { document["scaleFormat"] = .string(format.rawValue) }
    return .object(document)
  }

  private func document(of gguf: GGUFRecipe) -> JSONObject {
    var document: JSONObject = [
      "to": .string("gguf"), "quant": gguf.fileType.map { .string($0.name) } ?? .null,
      "mtp": .string(recipe.mtp.rawValue),
      "maxShardSize": recipe.shardLimit.map { .integer($0) } ?? .null,
      "pure": .bool(gguf.isPure), "leaveOutputTensor": .bool(gguf.leavesOutput),
      "tensorTypes": .array(
        gguf.tensorTypes.map { .string("\($0.text)=\($0.type.rawValue)") }),
    ]
    if let type = gguf.base { document["default"] = .string(type.rawValue) }
    if !gguf.rules.isEmpty {
      document["rules"] = .array(
        gguf.rules.map { rule in
          var json: JSONObject = ["match": .string(rule.match)]
          if let layers = rule.layers { json["layers"] = .string(layers.rawValue) }
          json["type"] = .string(rule.type.rawValue)
          return .object(json)
        })
    }
    if gguf.keepsSplit { document["keepSplit"] = .bool(true) }
    if let matrix = gguf.importance { document["importanceMatrix"] = .string(matrix.path) }
    if !gguf.overrides.isEmpty {
      document["overrides"] = .array(gguf.overrides.map { .string($0.text) })
    }
    if let type = gguf.outputType { document["outputTensorType"] = .string(type.rawValue) }
    if let type = gguf.embeddingType { document["tokenEmbeddingType"] = .string(type.rawValue) }
    return document
  }
}
