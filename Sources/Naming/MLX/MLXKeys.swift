package import Models
package import Platform

/// The keys of `config.json` that mlx-lm's modules read, and what they take where one is absent.
package enum MLXKeys {
  /// Adds to a config what its module would otherwise take another value for than the model has.
  ///
  /// transformers has defaults of its own for keys that are absent, and a spelling of rotary
  /// embeddings that most modules do not read: they would run with another base and without YaRN,
  /// and say nothing. What a config has already is left as it is, but for a base that transformers
  /// does not take.
  ///
  /// - Parameters:
  ///   - document: the network's config.
  ///   - config: what it says.
  package static func complete(_ document: inout JSONObject, for config: ModelConfig) {
    let module = config.architecture.mlx
    if let type = module.modelType { document["model_type"] = .string(type) }
    for row in ConfigKey.all where document[row.name] == nil {
      guard let value = row.value(config), module.defaults[row.name] != value else { continue }
      document[row.name] = value
    }
    completePositions(&document, config, module)
  }

  /// The base of rotary frequencies, and YaRN, in the spelling of transformers 4.
  private static func completePositions(
    _ document: inout JSONObject, _ config: ModelConfig, _ module: Architecture.MLXModule
  ) {
    guard !module.readsRopeParameters else {
      if !config.isWritten(in: document) {
        document["rope_parameters"] = .object(config.ropeParameters)
      }
      return
    }
    // transformers 5 has the base inside of its section, and takes that one.
    let written = document["rope_theta"] ?? module.defaults["rope_theta"]
    if written?.number != config.ropeTheta {
      let inner = document["rope_parameters"]?["rope_theta"]
      document["rope_theta"] =
        inner?.number == config.ropeTheta ? inner : .number(config.ropeTheta)
    }
    if case .object(let scaling)? = document["rope_scaling"], !scaling.keys.isEmpty { return }
    if let yarn = config.yarnDocument {
      document["rope_scaling"] = .object(yarn)
    } else if module.needsScaling {
      // A factor of one: plain frequencies.
      document["rope_scaling"] = .object([
        "factor": 1.0, "original_max_position_embeddings": .integer(config.contextLength),
        "type": "yarn",
      ])
    }
  }
}

extension ModelConfig {
  /// Whether `rope_parameters` says all about positions already.
  fileprivate func isWritten(in document: JSONObject) -> Bool {
    guard case .object(let section)? = document["rope_parameters"],
      section["rope_theta"]?.number == ropeTheta, section["rope_type"] != nil,
      section[ModelConfig.QueryTemperature.betaKey]?.number == queryTemperature?.beta
    else { return false }
    if case .object(let old)? = document["rope_scaling"] { return old.keys.isEmpty }
    return true
  }

  /// The section about positions in the spelling of transformers 5.
  fileprivate var ropeParameters: JSONObject {
    var object = yarnDocument ?? JSONObject()
    object["rope_theta"] = .number(ropeTheta)
    object["type"] = nil
    object["rope_type"] = yarn == nil ? "default" : "yarn"
    if queryTemperature != nil {
      object[ModelConfig.QueryTemperature.betaKey] = ConfigKey.temperature.value(self)
      object["original_max_position_embeddings"] = ConfigKey.temperatureLength.value(self)
    }
    return object
  }
}
