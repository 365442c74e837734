package import Models
package import Platform
package import Weights

/// `config.json` of the output: the source's, key by key in its order, with what changes changed.
package struct ConfigRewriting {
  /// The source's document.
  package let source: JSONValue
  /// What it says.
  package let config: ModelConfig
  /// What the output's weights are stored in; nil where nothing changes.
  package let weights: WeightStorage?
  /// The output's FP8 blocks, nil for plain weights.
  package let fp8: ModelConfig.FP8Quantization?
  /// A `quantization_config` that takes the place of the source's.
  package var section: JSONValue?
  /// Whether routed experts are in FP4 of which the source's config says nothing.
  package var declaresFP4 = false
  /// What `torch_dtype` says then; nil where it stays.
  package var plainTypeName: String?
  /// Whether the MTP layers are left out.
  package let dropsMTP: Bool

  /// The new document's text.
  package func text() -> [UInt8] {
    guard case .object(let object) = source else { preconditionFailure("a config is an object") }
    // Either level may have the section about storage; a new one stands where loaders look first.
    let inner = ModelConfig.storage(in: config.section(of: source)) != nil
    let changed = config.changing(object) { object, isNetwork in
      change(
        &object, isNetwork: isNetwork, hasSection: isNetwork == inner || config.envelope == nil)
    }
    return Array((JSONValue.object(changed).text() + "\n").utf8)
  }

  private func change(_ object: inout JSONObject, isNetwork: Bool, hasSection: Bool) {
    if let weights {
      if let fp8, hasSection {
        // An FP8 source is copied, with its own section.
        if config.fp8 == nil { setStorage(.object(fp8.section), in: &object) }
      } else {
        setStorage(nil, in: &object)
      }
      if fp8 == nil, config.v4 != nil { object["expert_dtype"] = nil }
      if let name = weights.dataTypeName { setDataType(name, in: &object, isNetwork: isNetwork) }
    }
    if declaresFP4 {
      object["expert_dtype"] = .string("fp4")
      if let plainTypeName { setDataType(plainTypeName, in: &object, isNetwork: isNetwork) }
    }
    if let section { setStorage(hasSection ? section : nil, in: &object) }
    if dropsMTP { ModelConfig.declare(mtpLayers: 0, in: &object) }
  }

  /// transformers wrote `torch_dtype` until 4.55 and `dtype` since: the source's spelling stays.
  private func setDataType(_ name: String, in object: inout JSONObject, isNetwork: Bool) {
    let present = ["dtype", "torch_dtype"].filter { object[$0] != nil }
    let missing = isNetwork ? ["torch_dtype"] : []
    for key in present.isEmpty ? missing : present { object[key] = .string(name) }
  }

  /// Sets the section under its usual key, and removes it from all others.
  private func setStorage(_ section: JSONValue?, in object: inout JSONObject) {
    for key in ModelConfig.storageKeys.dropFirst() { object[key] = nil }
    object[ModelConfig.storageKeys[0]] = section
  }
}
