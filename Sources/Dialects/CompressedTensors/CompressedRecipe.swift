package import Models
internal import Platform
internal import Tensors
package import Weights

/// What a checkpoint in compressed-tensors' formats is to hold.
package struct CompressedRecipe: Sendable, Hashable {
  /// The name on the command line: a scheme's, and `-experts` where routed experts alone have it.
  package let name: String
  /// How weights are stored.
  package let scheme: CompressedScheme
  /// Whether routed experts alone are stored so, as Kimi-K2-Thinking has it.
  package let isForExperts: Bool

  private static let expertSuffix = "-experts"

  /// All names.
  package static let names = CompressedScheme.named.map(\.name)

  /// The recipe of that name, in any case; nil where there is none.
  package init?(named name: String) {
    let name = name.lowercased()
    isForExperts = name.hasSuffix(CompressedRecipe.expertSuffix)
    let base = isForExperts ? name.dropLast(CompressedRecipe.expertSuffix.count) : name[...]
    guard let row = CompressedScheme.named.first(where: { $0.name == base }) else { return nil }
    self.name = name
    scheme = row.scheme
  }

  /// What keeps the codes of an FP8 checkpoint, or of one that another program has stored; nil for
  /// others.
  package init?(keeping source: SourceModel) {
    if let scheme = CompressedRecipe.moved(from: source) {
      self.init("\(scheme)", scheme, isForExperts: false)
      return
    }
    guard let fp8 = source.config.fp8 else { return nil }
    guard fp8.blocks == nil else {
      self.init(named: "fp8-block")
      return
    }
    let scaled = source.weights.all.first { $0.assembly.first.scaling != nil }?.assembly
    guard let scaled, case .blocks(let block)? = scaled.first.scaling?.kind else { return nil }
    if block.rows == 1 {
      self.init(named: "fp8-channel")
    } else {
      self.init(
        "fp8-tensor", CompressedScheme(.float8, .float8, .tensor), isForExperts: false)
    }
  }

  /// The library's own scheme for the integers of GPTQ and AWQ and for ModelOpt's NVFP4, activations
  /// left as they are; nil where there are none, or they are in activation order, which
  /// compressed-tensors 0.20 reads no more.
  private static func moved(from source: SourceModel) -> CompressedScheme? {
    guard var scheme = source.config.compressed?.groups.lazy.compactMap(\.scheme).first,
      scheme.maker != .compressedTensors, scheme.maker != .bitsandbytes,
      !source.isInActivationOrder
    else { return nil }
    scheme.maker = .compressedTensors
    scheme.inputs = .none
    return scheme
  }

  private init(_ name: String, _ scheme: CompressedScheme, isForExperts: Bool) {
    self.name = name
    self.scheme = scheme
    self.isForExperts = isForExperts
  }

  /// The same with blocks of another size where it has blocks.
  package func with(_ block: BlockSize) -> CompressedRecipe {
    guard case .block = scheme.geometry else { return self }
    var scheme = scheme
    scheme.geometry = .block(rows: block.rows, columns: block.columns)
    return CompressedRecipe(name, scheme, isForExperts: isForExperts)
  }
}

extension CompressedRecipe {
  /// Modules that loaders have in a class of their own, or that are too few and too sensitive:
  /// heads and tables, the router, what joins an MTP layer to the stream.
  ///
  /// vLLM keeps `eh_proj` as a plain module, and compares what it joins: `q_a_proj` with
  /// `kv_a_proj_with_mqa`, `gate_proj` with `up_proj`, the three matrices of all experts. Here both
  /// sides of each fall under the same target.
  private static let always = [
    "lm_head", #"re:.*embed_tokens$"#, #"re:.*mlp\.gate$"#, #"re:.*eh_proj$"#,
    #"re:.*shared_head\.head$"#,
  ]
  /// Kimi-K2-Thinking's own list.
  private static let allButExperts = [
    "re:.*self_attn.*", "re:.*shared_experts.*", #"re:.*mlp\.(gate|up|gate_up|down)_proj.*"#,
  ]

  /// The modules of a network that no recipe quantizes.
  package static func always(in config: ModelConfig) -> [String] {
    // vLLM keeps the indexer's plain too.
    always + (config.indexer == nil ? [] : [#"re:.*indexer\.weights_proj$"#])
  }

  /// The modules of a network that stay as they are.
  package func ignored(in config: ModelConfig) -> [String] {
    var ignored = CompressedRecipe.always(in: config)
    if isForExperts { ignored += CompressedRecipe.allButExperts }
    for tensor in config.expectedTensors() {
      guard !(isForExperts && tensor.expert == nil), let pattern = tensor.modulePattern,
        !scheme.fillsWords(columns: tensor.shape.dimensions[1]), !ignored.contains(pattern)
      else { continue }
      ignored.append(pattern)
    }
    return ignored
  }
}

extension ExpectedTensor {
  /// A pattern for the modules of its kind in all layers, those of all experts being one kind; nil
  /// for what is never quantized.
  fileprivate var modulePattern: String? {
    guard shape.dimensions.count == 2, let module else { return nil }
    let last = module.split(separator: ".").last ?? module
    switch part {
    case .expert: return #"re:.*mlp\.experts\.\d+\..*"#
    case .sharedExpert: return #"re:.*shared_experts\.\#(last)$"#
    case .mlp: return #"re:.*layers\.\d+\.mlp\.\#(last)$"#
    case .attention: return #"re:.*self_attn\.\#(last)$"#
    default: return nil
    }
  }
}

extension CompressedScheme {
  /// Whether rows of so many columns are whole groups and fill the words that codes are packed in.
  package func fillsWords(columns: Int) -> Bool {
    fits(columns: columns) && (format != .packed || columns * number.bits % 32 == 0)
  }
}
