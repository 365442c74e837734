package import Platform

extension CompressedScheme {
  /// The schemes that are written, by the name that a recipe calls them.
  ///
  /// Those whose activations are quantized as well (FP8) find their scales when they run.
  /// Source: compressed-tensors 0.20, `PRESET_SCHEMES`: FP8_BLOCK, FP8_DYNAMIC, W4A16, W8A16,
  /// W4A16_ASYM, NVFP4A16, MXFP4A16.
  package static let named: [(name: String, scheme: CompressedScheme)] =
    [
      ("fp8-block", CompressedScheme(.float8, .float8, .block(rows: 128, columns: 128))),
      ("fp8-channel", CompressedScheme(.float8, .float8, .channel)),
    ]
    + [4, 8].flatMap { bits in
      [
        ("g32", Geometry.group(32)), ("g64", .group(64)), ("g128", .group(128)),
        ("channel", .channel),
      ]
      .flatMap { name, geometry in
        [("", true), ("-asymmetric", false)].map { suffix, isSymmetric in
          (
            "int\(bits)-\(name)\(suffix)",
            CompressedScheme(
              .packed, .integer(bits: bits), geometry, isSymmetric: isSymmetric)
          )
        }
      }
    } + [
      ("nvfp4", CompressedScheme(.nvfp4, .float4, .group(16))),
      ("mxfp4", CompressedScheme(.mxfp4, .float4, .group(32))),
    ]

  /// The section of `config.json` for a checkpoint of such weights.
  ///
  /// Source: what compressed-tensors 0.20's `QuantizationConfig` reads, in the form in which
  /// llm-compressor writes it.
  ///
  /// - Parameter ignored: the modules that stay as they are, as compressed-tensors names them.
  package func section(ignored: [String]) -> JSONValue {
    CompressedScheme.section(
      [(self, [ModuleTarget.Class.linear.rawValue])], ignored: ignored)
  }

  /// The same for a checkpoint whose modules are stored in several ways.
  ///
  /// - Parameters:
  ///   - groups: schemes, and the modules that each is for, as compressed-tensors names them.
  ///   - ignored: the modules that stay as they are.
  package static func section(
    _ groups: [(scheme: CompressedScheme, targets: [String])], ignored: [String]
  ) -> JSONValue {
    var sections: JSONObject = [:]
    for (index, group) in groups.enumerated() {
      sections["group_\(index)"] = .object([
        "format": .string(group.scheme.format.rawValue),
        "input_activations": group.scheme.activations ?? .null,
        "output_activations": .null,
        "targets": .array(group.targets.map { .string($0) }),
        "weights": group.scheme.weights,
      ])
    }
    let formats = Set(groups.map(\.scheme.format.rawValue))
    let format = formats.count == 1 ? formats.first : CompressedTensorsConfig.mixedFormat
    return .object([
      "config_groups": .object(sections),
      "format": format.map { .string($0) } ?? .null,
      "global_compression_ratio": .null,
      "ignore": .array(ignored.map { .string($0) }),
      "kv_cache_scheme": .null,
      "quant_method": .string(CompressedTensorsConfig.method),
      "quantization_status": .string("compressed"),
      "version": .string("0.20.0"),
    ])
  }

  private var weights: JSONValue {
    var size: JSONValue = .null
    var arguments: JSONObject = [:]
    let strategy: String
    switch geometry {
    case .tensor: strategy = "tensor"
    case .channel: strategy = "channel"
    case .group(let columns):
      strategy = format == .nvfp4 ? "tensor_group" : "group"
      size = .integer(columns)
    case .block(let rows, let columns):
      strategy = "block"
      arguments["block_structure"] = .array([.integer(rows), .integer(columns)])
    }
    let type =
      switch number {
      case .integer: "int"
      case .float8, .float4: "float"
      }
    arguments["dynamic"] = .bool(false)
    arguments["group_size"] = size
    arguments["num_bits"] = .integer(number.bits)
    switch format {
    case .nvfp4: arguments["scale_dtype"] = .string("torch.float8_e4m3fn")
    case .mxfp4, .mxfp8: arguments["scale_dtype"] = .string("torch.uint8")
    case .packed, .int8, .float8, .naive: break
    }
    arguments["strategy"] = .string(strategy)
    arguments["symmetric"] = .bool(isSymmetric)
    arguments["type"] = .string(type)
    return .object(arguments)
  }

  /// What the loaders' kernels for such weights take: FP8 activations for FP8 weights, scaled by
  /// the token, or by groups of a token as wide as the weights' blocks.
  private var activations: JSONValue? {
    guard format == .float8 else { return nil }
    var (size, strategy) = (JSONValue.null, "token")
    if case .block(_, let columns) = geometry { (size, strategy) = (.integer(columns), "group") }
    return .object([
      "dynamic": .bool(true), "group_size": size, "num_bits": .integer(8),
      "strategy": .string(strategy), "symmetric": .bool(true), "type": .string("float"),
    ])
  }
}
