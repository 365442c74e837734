package import Platform
package import Tensors

/// A setting of `generation_config.json` and the key that llama.cpp's converter makes of it.
package struct SamplingSetting: Sendable {
  /// Its names in `generation_config.json`; the last one is that which transformers knows.
  package let names: [String]
  /// The key of a GGUF file.
  package let key: String
  /// Whether it is a whole number.
  package let isCount: Bool

  private init(_ names: [String], _ key: String, isCount: Bool = false) {
    self.names = names
    self.key = "general.sampling." + key
    self.isCount = isCount
  }

  /// All of them.
  package static let all: [SamplingSetting] = [
    SamplingSetting(["top_k"], "top_k", isCount: true),
    SamplingSetting(["top_p"], "top_p"),
    SamplingSetting(["min_p"], "min_p"),
    SamplingSetting(["xtc_probability"], "xtc_probability"),
    SamplingSetting(["xtc_threshold"], "xtc_threshold"),
    SamplingSetting(["temperature"], "temp"),
    SamplingSetting(["penalty_last_n"], "penalty_last_n", isCount: true),
    SamplingSetting(["penalty_repeat", "repetition_penalty"], "penalty_repeat"),
    SamplingSetting(["mirostat"], "mirostat", isCount: true),
    SamplingSetting(["mirostat_tau"], "mirostat_tau"),
    SamplingSetting(["mirostat_eta"], "mirostat_eta"),
  ]

  /// The `generation_config.json` that the keys of a GGUF file amount to.
  ///
  /// - Parameter config: the file's `config.json`, which knows the ids of special tokens.
  package static func generationConfig(_ metadata: Metadata, config source: JSONValue) -> JSONObject
  {
    var config = JSONObject()
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] { config[key] = source[key] }
    for setting in all {
      guard let name = setting.names.last, let value = metadata[setting.key] else { continue }
      if setting.isCount {
        config[name] = value.integer.map { .integer($0) }
      } else if let number = value.number, number.isFinite {
        config[name] = .number(Double(Float(number).description) ?? number)
      }
      // Without this transformers takes the most probable token and ignores the rest.
      config["do_sample"] = .bool(true)
    }
    return config.sorted
  }
}
