package import Formats
package import Models
package import Naming
package import Platform
package import Tensors
internal import Weights

/// The documents beside an MLX model's shards, as mlx-lm 0.32 writes them.
package struct MLXDocuments {
  /// The source's config without what it says about its own storage.
  package let document: JSONValue
  /// What it says, without MTP layers that are left out.
  package let config: ModelConfig
  /// Settings of quantized modules, and whether they were there before.
  package let settings: [(module: ExactText, setting: MLXSetting, isCarried: Bool)]
  /// What modules were asked to have that no rule of a recipe is about; nil where that is nothing.
  package let usual: MLXSetting?
  /// What plain weights were asked to be stored in; nil where nothing was asked for.
  package let plainType: ElementType?
  /// Whether the MTP layers are left out.
  package let dropsMTP: Bool

  /// `config.json`: keys sorted, four spaces a level.
  ///
  /// - Parameter endOfText: `eos_token_id` of `generation_config.json`, which counts for mlx-lm.
  package func configText(endOfText: JSONValue?) -> [UInt8] {
    guard case .object(let source) = document else { preconditionFailure("a config is an object") }
    let name = WeightStorage.all.first { $0.type == plainType }?.dataTypeName
    var object = config.changing(source) { section, isNetwork in
      if let name {
        for key in ["dtype", "torch_dtype"] where section[key] != nil {
          section[key] = .string(name)
        }
      }
      if dropsMTP { ModelConfig.declare(mtpLayers: 0, in: &section) }
      if isNetwork { MLXKeys.complete(&section, for: config) }
    }
    for key in ["_name_or_path", "vision_config"] { object[key] = nil }
    if let endOfText, endOfText != .null { object["eos_token_id"] = endOfText }
    if let quantization {
      object["quantization"] = quantization
      // Under this name too, for what the Hugging Face hub shows.
      object["quantization_config"] = quantization
    }
    var sorted = JSONObject()
    let keys = object.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for key in keys { sorted[key] = object[key] }
    return Array(JSONValue.object(sorted).text(indent: 4).utf8)
  }

  /// The setting that was asked for, or that the first module has, and those of modules that
  /// differ. Where codes were there before, mlx-lm names every module that it quantizes on top.
  private var quantization: JSONValue? {
    let carried = settings.first { $0.isCarried }
    guard let first = carried ?? settings.first,
      case let general = carried?.setting ?? usual ?? first.setting,
      case .object(var object) = general.json
    else { return nil }
    for (module, setting, isCarried) in settings
    where setting != general || carried != nil && !isCarried {
      object[module.text] = setting.json
    }
    return .object(object)
  }

  /// `model.safetensors.index.json`, which mlx-lm writes beside a single file too.
  package static func index(_ layout: OutputLayout, parameters: Int) -> [UInt8] {
    var text = "{\n    \"metadata\": {\n        \"total_size\": \(layout.totalSize),\n"
    text += "        \"total_parameters\": \(parameters)\n    },\n    \"weight_map\": {"
    var places = layout.files.flatMap { file in
      file.tensors.map { (name: layout.entries[$0].name, file: file.name) }
    }
    places.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    var separator = "\n        "
    for (name, file) in places {
      text += separator
      JSONValue.quote(name.text, to: &text)
      text += ": \"\(file)\""
      separator = ",\n        "
    }
    return Array((text + "\n    }\n}").utf8)
  }
}
