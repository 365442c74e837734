internal import Platform

/// What configs say of weights that GPTQ, AWQ and bitsandbytes store as integers.
enum IntegerStorage {
  /// Widths of GPTQ's codes that fill words without codes that two of them share.
  static let gptqBits = [4, 8]

  /// Modules that these programs leave as they are, whatever the config lists.
  private static let always = ["lm_head"]

  // MARK: GPTQ

  /// GPTQ's integers: groups of columns of the weight, in the order of `g_idx`.
  ///
  /// Source: GPTQModel's `QuantizeConfig`, transformers' `GPTQConfig`, vLLM's `GPTQConfig`.
  static func readGPTQ(_ section: ConfigReader) throws(Fault) -> CompressedTensorsConfig {
    var isFirst = true
    for key in ["checkpoint_format", "format"] {
      switch try section.string(key) {
      case nil, "gptq"?: break
      case "gptq_v2"?: isFirst = false
      default: throw section.fault(key, expected: "\"gptq\" or \"gptq_v2\"")
      }
    }
    if let words = try section.string("pack_dtype"), words != "int32" {
      throw section.fault("pack_dtype", expected: "\"int32\"")
    }
    // Rules that leave modules out are told by what is there; others change how codes are read.
    if case .object(let rules)? = section.object["dynamic"] {
      for rule in rules.keys where !rule.hasPrefix("-:") {
        throw section.fault("dynamic", expected: "rules that leave modules out (-:) alone")
      }
    }
    let bits = try section.count("bits", default: 0)
    guard gptqBits.contains(bits) else { throw section.fault("bits", expected: "4 or 8") }
    var scheme = CompressedScheme(
      .packed, .integer(bits: bits), try geometry(section, "group_size"), isSymmetric: false)
    scheme.isOrdered = try section.flag("desc_act") ?? false
    return try CompressedTensorsConfig(
      scheme, by: .gptq(lessOne: isFirst),
      except: try section.flag("lm_head") == true ? [] : always)
  }

  // MARK: AWQ

  /// Whether a section is of the form for GEMM kernels: others lay their words out otherwise.
  static func isReadableAWQ(_ section: JSONObject) -> Bool {
    let bits = section["bits"] ?? section["w_bit"]
    switch section["version"] ?? .null {
    case .null: return bits == .integer(4)
    case .string(let version): return bits == .integer(4) && version.lowercased() == "gemm"
    default: return false
    }
  }

  /// AWQ's integers of 4 bits.
  ///
  /// Source: AutoAWQ's `AwqConfig` and `WQLinear_GEMM`, which transformers and vLLM read.
  static func readAWQ(
    _ section: ConfigReader, except excluded: [String]
  ) throws(Fault) -> CompressedTensorsConfig {
    let key = section.object["group_size"] == nil ? "q_group_size" : "group_size"
    let scheme = CompressedScheme(
      .packed, .integer(bits: 4), try geometry(section, key), isSymmetric: false)
    return try CompressedTensorsConfig(scheme, by: .awq, except: always + excluded)
  }

  /// Groups of so many columns, or whole rows for −1.
  private static func geometry(
    _ section: ConfigReader, _ key: String
  ) throws(Fault) -> CompressedScheme.Geometry {
    switch section.object[key] ?? .integer(128) {
    case .integer(-1): return .channel
    case .integer(let size) where size > 0 && size % 8 == 0 && size <= Int(Int32.max):
      return .group(size)
    default: throw section.fault(key, expected: "a multiple of 8, or -1 for whole rows")
    }
  }

  // MARK: bitsandbytes

  /// Whether a section is of 8-bit weights; those of 4 bits have tables of their own.
  static func isReadableBitsandbytes(_ section: JSONObject) -> Bool {
    let isEight = ["load_in_8bit", "_load_in_8bit"].contains { section[$0] == .bool(true) }
    let isFour = ["load_in_4bit", "_load_in_4bit"].contains { section[$0] == .bool(true) }
    return isEight && !isFour
  }

  /// bitsandbytes' integers of 8 bits, a row's largest magnitude standing for 127.
  ///
  /// Source: bitsandbytes' `Linear8bitLt`, `int8_vectorwise_dequant`.
  static func readBitsandbytes(
    _ section: ConfigReader, except excluded: [String]
  ) throws(Fault) -> CompressedTensorsConfig {
    try CompressedTensorsConfig(
      CompressedScheme(.int8, .integer(bits: 8), .channel), by: .bitsandbytes,
      except: always + excluded)
  }
}
