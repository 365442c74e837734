internal import Platform

extension CheckpointSurvey {
  /// A config with what ModelOpt's older versions say of storage in a file of its own,
  /// `hf_quant_config.json`, under the key that its newer ones have for it in `config.json`; the same
  /// config where it has a section of its own, or the other is of no storage that is read.
  ///
  /// Source: ModelOpt's `convert_hf_quant_config_format`, which moves the settings so.
  ///
  /// - Throws: what opening that file throws but `.malformed`: a file that is none says nothing.
  static func withStorage(
    _ config: JSONValue, in folder: InputFolder
  ) throws(Fault) -> JSONValue {
    let key = "quantization_config"
    guard case .object(var object) = config,
      [config, config["text_config"] ?? .null].allSatisfy({ $0[key] ?? .null == .null })
    else { return config }
    let document: JSONValue
    do throws(Fault) {
      guard let file = try folder.find("hf_quant_config.json") else { return config }
      document = try readConfig(file)
    } catch {
      guard error.kind == .malformed else { throw error }
      return config
    }
    guard case .object(var settings)? = document["quantization"],
      case .string(let name)? = settings["quant_algo"], ["FP8", "NVFP4"].contains(name)
    else { return config }
    settings["quant_method"] = "modelopt"
    object[key] = .object(settings)
    return .object(object)
  }
}
