package import Platform

/// NVFP4 as NVIDIA's ModelOpt stores it: what a config says of it, and what is written.
///
/// Source: ModelOpt 0.47, `convert_hf_quant_config_format`; vLLM's `ModelOptNvFp4Config`.
package enum ModelOptStorage {
  /// `quant_method` of a section that this reads.
  package static let method = "modelopt"
  /// The file in which the same settings stand for loaders that look there.
  package static let fileName: ExactText = "hf_quant_config.json"
  /// `quant_algo` where activations become FP4 too, by a scale that each module has for them.
  private static let full = "NVFP4"
  /// `quant_algo` where activations stay what they are.
  private static let weightsAlone = "W4A16_NVFP4"
  /// Both.
  static let algorithms = [full, weightsAlone]
  /// Columns that share a scale.
  private static let group = 16
  /// The version whose form is written.
  private static let version = "0.47.0"

  /// NVFP4 under ModelOpt's names.
  ///
  /// - Parameter hasInputs: whether each module has a scale of its activations.
  package static func scheme(hasInputs: Bool) -> CompressedScheme {
    var scheme = CompressedScheme(
      .nvfp4, .float4, .group(group), inputs: hasInputs ? .scale(isSymmetric: true) : .none)
    scheme.maker = .modelOpt
    return scheme
  }

  /// Groups of 16, named in the section or in its groups, where newer versions also say whether
  /// activations are quantized.
  ///
  /// - Parameter excluded: the modules that the section leaves as they are.
  static func read(
    _ section: ConfigReader, except excluded: [String]
  ) throws(Fault) -> CompressedTensorsConfig {
    var places = [section]
    var hasInputs = try section.string("quant_algo") == full
    if let groups = try section.section("config_groups"), case .object(let object) = groups.object {
      guard object.keys.count == 1, let group = try groups.section(object.keys[0]) else {
        throw section.fault("config_groups", expected: "one group, for all modules")
      }
      places += try [group.section("weights")].compactMap { $0 }
      if try group.section("input_activations") == nil { hasInputs = false }
    }
    for place in places {
      guard try place.count("group_size", default: group) == group else {
        throw place.fault("group_size", expected: "\(group)")
      }
    }
    return try CompressedTensorsConfig(
      scheme(hasInputs: hasInputs), by: .modelOpt, except: excluded)
  }

  /// The section of `config.json` for a checkpoint of such weights.
  ///
  /// - Parameters:
  ///   - hasInputs: whether each module has a scale of its activations.
  ///   - excluded: the modules that stay as they are, by names or patterns as of file names.
  package static func section(hasInputs: Bool, excluding excluded: [String]) -> JSONObject {
    let numbers: JSONObject = [
      "dynamic": .bool(false), "num_bits": .integer(4), "type": .string("float"),
      "group_size": .integer(group),
    ]
    var one: JSONObject = [:]
    if hasInputs { one["input_activations"] = .object(numbers) }
    one["weights"] = .object(numbers)
    one["targets"] = .array([.string(ModuleTarget.Class.linear.rawValue)])
    return [
      "config_groups": .object(["group_0": .object(one)]),
      "ignore": .array(excluded.map { .string($0) }),
      "quant_algo": .string(hasInputs ? full : weightsAlone),
      "producer": producer,
      "quant_method": .string(method),
    ]
  }

  /// The document beside it that says the same.
  package static func document(of section: JSONObject) -> JSONValue {
    .object([
      "producer": producer,
      "quantization": .object([
        "quant_algo": section["quant_algo"] ?? .null,
        "kv_cache_quant_algo": .null,
        "group_size": .integer(group),
        "exclude_modules": section["ignore"] ?? .null,
      ]),
    ])
  }

  /// vLLM takes the document for no other producer's.
  private static var producer: JSONValue {
    .object(["name": .string(method), "version": .string(version)])
  }
}
