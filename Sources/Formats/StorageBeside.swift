public import Platform

extension CheckpointSurvey {
  /// The file in which ModelOpt's older versions say how weights are stored.
  public static let storageFile: ExactText = "hf_quant_config.json"

  /// What a config says of how weights are stored: a network in a larger model has its config, storage
  /// included, in a section, and compressed-tensors has called its own by two names.
  static func storageSections(of config: JSONValue) -> [JSONValue] {
    [config, config["text_config"] ?? .null].flatMap { document in
      ["quantization_config", "compression_config"].compactMap { document[$0] }
    }.filter { $0 != .null }
  }

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
    guard case .object(var object) = config, storageSections(of: config).isEmpty else {
      return config
    }
    let document: JSONValue
    do throws(Fault) {
      guard let file = try folder.find(storageFile) else { return config }
      document = try readConfig(file)
    } catch {
      guard error.kind == .malformed else { throw error }
      return config
    }
    guard case .object(var settings)? = document["quantization"],
      case .string(let name)? = settings["quant_algo"], ["FP8", "NVFP4"].contains(name)
    else { return config }
    settings["quant_method"] = "modelopt"
    object["quantization_config"] = .object(settings)
    return .object(object)
  }
}
