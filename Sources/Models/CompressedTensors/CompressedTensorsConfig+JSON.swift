package import Platform

extension CompressedTensorsConfig {
  /// `quant_method` of a section that this reads.
  static let method = "compressed-tensors"
  /// Stands for formats that each group names for itself.
  static let mixedFormat = "mixed-precision"
  /// Patterns that a config may have, and their bytes: all are tried on each module.
  private static let patternLimit = 256
  private static let patternBytes = 1 << 16

  /// Reads a `quantization_config`; see `init(_:)` for what is refused.
  ///
  /// - Throws: `.malformed` with the key.
  package init(json: JSONValue, file: String) throws(Fault) {
    guard case .object = json else {
      throw Fault(.malformed, "is not a JSON object", file: file)
    }
    try self.init(ConfigReader(object: json, prefix: "quantization_config.", file: file))
  }

  /// Reads a `quantization_config`.
  ///
  /// What changes the values of weights and is not known here is refused: sparse storage and
  /// transforms. What is about activations, caches and how the scales
  /// were found is passed over.
  init(_ section: ConfigReader) throws(Fault) {
    if let sparsity = try section.section("sparsity_config") {
      guard try ["dense", nil].contains(sparsity.string("format")) else {
        throw sparsity.fault("format", expected: "\"dense\" or none")
      }
    }
    if let transforms = try section.section("transform_config")?.section("config_groups"),
      case .object(let groups) = transforms.object, groups.count > 0
    {
      throw section.fault("transform_config", expected: "none")
    }
    guard let entries = try section.section("config_groups"),
      case .object(let object) = entries.object
    else { throw section.fault("config_groups", expected: "an object") }
    let format = try section.string("format") ?? "dense"
    var groups: [Group] = []
    for name in object.keys {
      guard let group = try entries.section(name) else { continue }
      groups.append(try Self.group(name, group, format: format))
    }
    let ignored = try Self.targets(section, "ignore")
    let patterns = (groups.flatMap(\.targets) + ignored).filter(\.isPattern)
    guard patterns.count <= Self.patternLimit,
      patterns.reduce(0, { $0 + $1.text.utf8.count }) <= Self.patternBytes
    else {
      throw section.fault(
        "config_groups",
        expected: "at most \(Self.patternLimit) patterns of \(Self.patternBytes) bytes together")
    }
    self.init(groups: groups, ignored: ignored)
  }

  private static func group(
    _ name: String, _ group: ConfigReader, format: String
  ) throws(Fault) -> Group {
    let targets = try targets(group, "targets")
    guard let weights = try group.section("weights") else {
      return Group(name: name, targets: targets, scheme: nil)
    }
    let number = try weightNumber(weights)
    let geometry = try geometry(weights)
    let inputs = try group.section("input_activations")
    let named = try group.string("format") ?? format
    let usual = CompressedScheme.Format.usual(
      for: number, geometry, hasInputs: inputs != nil,
      hasByteScales: try weights.string("scale_dtype") == "torch.uint8")
    guard let format = named == mixedFormat ? usual : CompressedScheme.Format(rawValue: named)
    else {
      throw group.fault(
        "format",
        expected: CompressedScheme.Format.allCases.map(\.rawValue).joined(separator: ", "))
    }
    var scheme = CompressedScheme(
      format, number, geometry, isSymmetric: try weights.flag("symmetric") ?? true,
      inputs: try inputs.map(stored) ?? .none)
    scheme.isOrdered = try isOrdered(weights)
    guard scheme.isKnown else {
      throw group.fault("weights", expected: "what \(format.rawValue) holds")
    }
    return Group(name: name, targets: targets, scheme: scheme)
  }

  private static func weightNumber(
    _ weights: ConfigReader
  ) throws(Fault) -> CompressedScheme.Number {
    let bits = try weights.count("num_bits", maximum: 8, default: 8)
    if let dynamic = weights.object["dynamic"], dynamic != .null, dynamic != .bool(false) {
      throw weights.fault("dynamic", expected: "false")
    }
    switch (try weights.string("type")?.lowercased() ?? "int", bits) {
    case ("int", _): return .integer(bits: bits)
    case ("float", 8): return .float8
    case ("float", 4): return .float4
    case ("float", _): throw weights.fault("num_bits", expected: "4 or 8")
    default: throw weights.fault("type", expected: "\"int\" or \"float\"")
    }
  }

  /// Whether groups are not adjacent columns. Columns that were merely quantized in another order
  /// (`weight`, `static`) lie where they belong.
  ///
  /// Source: compressed-tensors 0.13, `ActivationOrdering` and its aliases; 0.20 refuses the first.
  private static func isOrdered(_ weights: ConfigReader) throws(Fault) -> Bool {
    switch weights.object["actorder"] {
    case nil, .null?, .bool(false)?: return false
    case .bool(true)?: return true
    case .string(let order)?:
      switch order.lowercased() {
      case "group", "dynamic": return true
      case "weight", "static": return false
      default: break
      }
    default: break
    }
    throw weights.fault("actorder", expected: "\"group\", \"weight\" or none")
  }

  private static func geometry(
    _ weights: ConfigReader
  ) throws(Fault) -> CompressedScheme.Geometry {
    // −1 stands for the channel.
    let isChannel = weights.object["group_size"] == .integer(-1)
    let size =
      isChannel || [nil, .null].contains(weights.object["group_size"])
      ? nil : try weights.count("group_size")
    let named = try weights.string("strategy")?.lowercased()
    switch named ?? (isChannel ? "channel" : size == nil ? "tensor" : "group") {
    case "tensor" where size == nil: return .tensor
    case "channel" where size == nil: return .channel
    case "group", "tensor_group":
      guard let size else { throw weights.fault("group_size", expected: "a positive number") }
      return .group(size)
    case "block":
      let (rows, columns) = try block(weights)
      return .block(rows: rows, columns: columns)
    default:
      throw weights.fault(
        "strategy", expected: "tensor, channel, group, tensor_group or block, as group_size has it")
    }
  }

  /// Two numbers, or a text such as `128x128` in older files.
  private static func block(_ weights: ConfigReader) throws(Fault) -> (Int, Int) {
    var sides: [Int] = []
    switch weights.object["block_structure"] {
    case .array(let values)?:
      for case .integer(let side) in values { sides.append(side) }
      if values.count != sides.count { sides = [] }
    case .string(let text)?:
      sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    default: break
    }
    guard sides.count == 2, sides.allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw weights.fault("block_structure", expected: "two positive whole numbers")
    }
    return (sides[0], sides[1])
  }

  private static func stored(_ inputs: ConfigReader) throws(Fault) -> CompressedScheme.Inputs {
    switch inputs.object["dynamic"] {
    case .bool(true)?: return .none
    case .string("local")?: return .globalScale
    case nil, .null?, .bool(false)?:
      return .scale(isSymmetric: try inputs.flag("symmetric") ?? true)
    default: throw inputs.fault("dynamic", expected: "true, false or \"local\"")
    }
  }

  private static func targets(
    _ reader: ConfigReader, _ key: String
  ) throws(Fault) -> [ModuleTarget] {
    var targets: [ModuleTarget] = []
    for value in try reader.array(key) ?? [] {
      guard case .string(let text) = value else {
        throw reader.fault(key, expected: "an array of strings")
      }
      do throws(Fault) {
        targets.append(try ModuleTarget(text))
      } catch {
        throw reader.fault(key, expected: "patterns of Python's re; one \(error.message)")
      }
    }
    return targets
  }
}
