package import Platform
package import Tensors

/// What a config says of how weights are stored.
extension ModelConfig {
  /// Types of weights by their names in `torch_dtype`.
  package static let dataTypes: [String: ElementType] = [
    "bfloat16": .bf16, "float16": .f16, "float32": .f32,
  ]
  /// Names there that say nothing of the weights that are not quantized.
  private static let otherDataTypes: Set<String> = [
    "auto", "float8_e4m3fn", "float8_e4m3", "uint8", "int8",
  ]

  /// The keys that may hold the section about storage, the usual one first: compressed-tensors has
  /// called it otherwise.
  package static let storageKeys = ["quantization_config", "compression_config"]
  /// Keys that list modules which stay as they are, by who writes them: transformers, AutoFP8 and
  /// vLLM, ModelOpt.
  private static let exclusionKeys = [
    "modules_to_not_convert", "ignored_layers", "exclude_modules", "ignore",
    "llm_int8_skip_modules",
  ]

  /// Patterns among them that are tried on each module.
  private static let patternLimit = 256

  /// The section about storage in a document; nil where there is none, or an empty one.
  package static func storage(in document: JSONValue?) -> (key: String, section: JSONObject)? {
    for key in storageKeys {
      if case .object(let object)? = document?[key], !object.keys.isEmpty { return (key, object) }
    }
    return nil
  }

  /// Whether the storage that a section names is one that is read.
  package static func reads(storage section: JSONObject) -> Bool {
    guard case .string(let method)? = section["quant_method"] else { return false }
    switch method.lowercased() {
    case "fp8", "fbgemm_fp8", CompressedTensorsConfig.method: return true
    case "gptq": return IntegerStorage.gptqBits.contains { section["bits"] == .integer($0) }
    case "awq": return IntegerStorage.isReadableAWQ(section)
    case "bitsandbytes": return IntegerStorage.isReadableBitsandbytes(section)
    case ModelOptStorage.method:
      return (["FP8"] + ModelOptStorage.algorithms).contains {
        section["quant_algo"] == .string($0)
      }
    default: return false
    }
  }

  /// The program other than compressed-tensors in whose form weights are stored; nil where there is
  /// none.
  package var otherMaker: CompressedScheme.Maker? {
    let maker = compressed?.groups.lazy.compactMap { $0.scheme?.maker }.first
    return maker == .compressedTensors ? nil : maker
  }

  static func readDataType(_ top: ConfigReader) throws(Fault) -> ElementType? {
    guard let name = try top.string("dtype", "torch_dtype") else { return nil }
    let plain = name.hasPrefix("torch.") ? String(name.dropFirst("torch.".count)) : name
    if otherDataTypes.contains(plain) { return nil }
    guard let type = dataTypes[plain] else {
      throw top.fault(
        top.object["dtype"] == nil ? "torch_dtype" : "dtype",
        expected: dataTypes.keys.sorted().joined(separator: ", "))
    }
    return type
  }

  static func readQuantization(
    _ top: ConfigReader
  ) throws(Fault) -> (FP8Quantization?, CompressedTensorsConfig?) {
    // What is no section is refused, and an empty one is none.
    for key in storageKeys { _ = try top.section(key) }
    guard let key = storage(in: top.object)?.key, let section = try top.section(key) else {
      return (nil, nil)
    }
    switch try section.string("quant_method")?.lowercased() {
    case "fp8", "fbgemm_fp8": return (try readFP8(section), nil)
    case ModelOptStorage.method:
      let algorithm = try section.string("quant_algo")
      if algorithm == "FP8" { return (try readFP8(section), nil) }
      guard let algorithm, ModelOptStorage.algorithms.contains(algorithm) else {
        throw section.fault(
          "quant_algo",
          expected: (["FP8"] + ModelOptStorage.algorithms).joined(separator: ", "))
      }
      return (nil, try ModelOptStorage.read(section, except: excluded(section)))
    case "gptq": return (nil, try IntegerStorage.readGPTQ(section))
    case "awq": return (nil, try IntegerStorage.readAWQ(section, except: excluded(section)))
    case "bitsandbytes":
      return (nil, try IntegerStorage.readBitsandbytes(section, except: excluded(section)))
    case CompressedTensorsConfig.method: return (nil, try CompressedTensorsConfig(section))
    default:
      throw section.fault(
        "quant_method",
        expected: "fp8, \(CompressedTensorsConfig.method), modelopt, gptq, awq or bitsandbytes")
    }
  }

  /// What a section says of codes that compressed-tensors has, or another program under other names;
  /// nil for one about something else.
  ///
  /// - Throws: `.malformed` with the key that is not understood.
  package static func compressed(
    section: JSONValue, file: String
  ) throws(Fault) -> CompressedTensorsConfig? {
    try readQuantization(
      ConfigReader(object: .object(["quantization_config": section]), prefix: "", file: file)
    ).1
  }

  private static func readFP8(_ section: ConfigReader) throws(Fault) -> FP8Quantization {
    let formats = ["e4m3", "e4m3fn", "float8_e4m3", "float8_e4m3fn"]
    if let format = try section.string("fmt"), !formats.contains(format.lowercased()) {
      throw section.fault("fmt", expected: "\"e4m3\"")
    }
    let format = try section.string("scale_fmt")?.lowercased()
    guard [nil, "ue8m0", "float", "float32", "fp32"].contains(format) else {
      throw section.fault("scale_fmt", expected: "\"ue8m0\" or none")
    }
    return FP8Quantization(
      blocks: try readBlocks(section), powerOfTwoScales: format == "ue8m0",
      excludedModules: try excluded(section))
  }

  /// Modules that a section leaves as they are.
  private static func excluded(_ section: ConfigReader) throws(Fault) -> [String] {
    var excluded: [String] = []
    for key in exclusionKeys {
      for name in try section.array(key) ?? [] {
        guard case .string(let module) = name else {
          throw section.fault(key, expected: "an array of strings")
        }
        excluded.append(module)
      }
    }
    guard excluded.count(where: { $0.contains("*") }) <= patternLimit else {
      throw section.fault(
        exclusionKeys[0], expected: "at most \(patternLimit) patterns, each tried on all modules")
    }
    return excluded
  }

  /// Tiles; nil where the section names none.
  private static func readBlocks(
    _ section: ConfigReader
  ) throws(Fault) -> FP8Quantization.Blocks? {
    guard let block = try section.array("weight_block_size") else { return nil }
    guard block.count == 2, case .integer(let rows) = block[0],
      case .integer(let columns) = block[1], (1...Int(Int32.max)).contains(rows),
      (1...Int(Int32.max)).contains(columns)
    else { throw section.fault("weight_block_size", expected: "two positive whole numbers") }
    return FP8Quantization.Blocks(rows: rows, columns: columns)
  }
}

extension ModelConfig.FP8Quantization {
  /// The section that says so, as DeepSeek-V3's and V3.1's configs write it, and transformers where
  /// modules are excluded.
  package var section: JSONObject {
    var section: JSONObject = [
      "activation_scheme": .string("dynamic"), "fmt": .string("e4m3"),
      "quant_method": .string("fp8"),
    ]
    if powerOfTwoScales { section["scale_fmt"] = .string("ue8m0") }
    section["weight_block_size"] =
      blocks.map { .array([.integer($0.rows), .integer($0.columns)]) } ?? .null
    if !excludedModules.isEmpty {
      section["modules_to_not_convert"] = .array(excludedModules.map { .string($0) })
    }
    return section
  }
}

/// Which modules a config keeps out of FP8.
///
/// An entry names the module, one that it lies in, or the end of its path; one with an asterisk is a
/// pattern as of file names, which ModelOpt writes.
struct ExcludedModules: Sendable, Hashable {
  private let names: Set<ExactText>
  private let globs: [Glob]

  init(_ entries: [String]) {
    names = Set(entries.filter { !$0.contains("*") }.map { ExactText($0) })
    globs = entries.filter { $0.contains("*") }.map { Glob($0) }
  }

  func contains(module: ExactText) -> Bool {
    if names.contains(module) { return true }
    let text = module.text
    if globs.contains(where: { $0.matches(text) }) { return true }
    guard !names.isEmpty else { return false }
    return text.utf8.indices.contains { dot in
      text.utf8[dot] == UInt8(ascii: ".")
        && (names.contains(ExactText(text[..<dot]))
          || names.contains(ExactText(text[text.utf8.index(after: dot)...])))
    }
  }
}
