internal import Formats
internal import Models
internal import Naming
public import Platform
internal import Tensors
internal import Weights

extension Recipe {
  /// The `recipe` of a plan's document: what was asked for, in the words of the command line.
  public var json: JSONObject {
    var recipe =
      switch target {
      case .huggingFace: json(to: "hf", quant: weights?.name)
      case .deepSeek(let shards): json(shards: shards)
      case .compressedTensors(let compressed):
        json(to: "compressed-tensors", quant: compressed?.name)
      case .gguf(let gguf): gguf.json(self)
      case .mlx(let mlx): mlx.json(self)
      }
    if ignoresUnknown { recipe["ignoreUnknown"] = true }
    return recipe
  }

  /// The same without paths of the machine.
  package var portableJSON: JSONObject {
    var json = json
    if case .gguf(let gguf) = target, let matrix = gguf.importance {
      json["importanceMatrix"] = .string(Folder.name(of: matrix.path).text)
    }
    return json
  }

  private func json(shards: Int) -> JSONObject {
    var recipe = json(to: "deepseek", quant: weights?.name)
    recipe["mp"] = .integer(shards)
    // A shard is as large as its part of the model.
    recipe["maxShardSize"] = .null
    return recipe
  }

  private func json(to format: String, quant: String?) -> JSONObject {
    var recipe: JSONObject = [
      "to": .string(format), "quant": quant.map { .string($0) } ?? .null,
      "mtp": .string(mtp.rawValue), "maxShardSize": .integer(shardLimit ?? Recipe.usualShardLimit),
    ]
    if let blockSize {
      recipe["blockSize"] = .array([.integer(blockSize.rows), .integer(blockSize.columns)])
    }
    if let scaleFormat { recipe["scaleFormat"] = .string(scaleFormat.rawValue) }
    return recipe
  }
}

extension MLXRecipe {
  /// What a plan says of the recipe.
  fileprivate func json(_ common: Recipe) -> JSONObject {
    var recipe: JSONObject = [
      "to": .string("mlx"), "quant": storage.map { .string($0.name) } ?? .null,
      "mtp": .string(common.mtp.rawValue), "layout": .string(layout.rawValue),
      "maxShardSize": .integer(common.shardLimit ?? MLXRecipe.usualShardLimit),
    ]
    if case .groups(let setting) = storage?.kind {
      recipe["groupSize"] = .integer(setting.groupSize)
    }
    return recipe
  }
}

extension GGUFRecipe {
  /// What a plan says of the recipe.
  fileprivate func json(_ common: Recipe) -> JSONObject {
    var recipe: JSONObject = [
      "to": .string("gguf"), "quant": fileType.map { .string($0.name) } ?? .null,
      "mtp": .string(common.mtp.rawValue),
      "maxShardSize": common.shardLimit.map { .integer($0) } ?? .null,
      "pure": .bool(isPure), "leaveOutputTensor": .bool(leavesOutput),
      "tensorTypes": .array(
        tensorTypes.map { .string("\($0.text)=\($0.type.rawValue)") }),
    ]
    if let type = base { recipe["default"] = .string(type.rawValue) }
    if !rules.isEmpty {
      recipe["rules"] = .array(
        rules.map { rule in
          var json: JSONObject = ["match": .string(rule.match)]
          if let layers = rule.layers { json["layers"] = .string(layers.rawValue) }
          json["type"] = .string(rule.type.rawValue)
          return .object(json)
        })
    }
    if keepsSplit { recipe["keepSplit"] = .bool(true) }
    if let matrix = importance { recipe["importanceMatrix"] = .string(matrix.path) }
    if !overrides.isEmpty {
      recipe["overrides"] = .array(overrides.map { .string($0.text) })
    }
    if let type = outputType { recipe["outputTensorType"] = .string(type.rawValue) }
    if let type = embeddingType { recipe["tokenEmbeddingType"] = .string(type.rawValue) }
    return recipe
  }
}
