package import Platform

extension CheckpointSurvey {
  /// The files in which older programs say how weights are stored: ModelOpt, AutoGPTQ, AutoAWQ.
  package static let storageFiles: [(name: ExactText, method: String)] = [
    ("hf_quant_config.json", "modelopt"), ("quantize_config.json", "gptq"),
    ("quant_config.json", "awq"),
  ]

  /// What ModelOpt calls weights in FP4, with scales of activations or without.
  static let modelOptFP4: [JSONValue?] = ["NVFP4", "W4A16_NVFP4"]

  /// What a config says of how weights are stored: a network in a larger model has its config, storage
  /// included, in a section, and compressed-tensors has called its own by two names.
  static func storageSections(of config: JSONValue) -> [JSONValue] {
    [config, config["text_config"] ?? .null].flatMap { document in
      ["quantization_config", "compression_config"].compactMap { document[$0] }
    }.filter { $0 != .null }
  }

  /// A config with what older programs say of storage in a file of their own, under the key that newer
  /// ones have for it in `config.json`; the same config where it has a section of its own, or the
  /// other is of no storage that is read.
  ///
  /// Source: ModelOpt's `convert_hf_quant_config_format`, which moves the settings so; vLLM's
  /// `get_config_filenames` of GPTQ and AWQ.
  ///
  /// - Throws: what opening such a file throws but `.malformed`: a file that is none says nothing.
  static func withStorage(
    _ config: JSONValue, in folder: InputFolder
  ) throws(Fault) -> JSONValue {
    guard case .object(var object) = config, storageSections(of: config).isEmpty else {
      return config
    }
    for (name, method) in storageFiles {
      let document: JSONValue
      do throws(Fault) {
        guard let file = try folder.find(name) else { continue }
        document = try readConfig(file)
      } catch {
        guard error.kind == .malformed else { throw error }
        continue
      }
      guard case .object(var settings) = document["quantization"] ?? document,
        isReadable(settings, method)
      else { continue }
      settings["quant_method"] = .string(method)
      object["quantization_config"] = .object(settings)
      return .object(object)
    }
    return config
  }

  /// Whether settings are of a storage that is read.
  private static func isReadable(_ settings: JSONObject, _ method: String) -> Bool {
    switch method {
    case "modelopt": (["FP8"] + modelOptFP4).contains(settings["quant_algo"])
    case "gptq": [.integer(4), .integer(8)].contains(settings["bits"])
    default: settings["w_bit"] ?? settings["bits"] == .integer(4)
    }
  }
}
