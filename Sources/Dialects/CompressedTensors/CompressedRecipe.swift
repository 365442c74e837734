internal import Codecs
internal import Formats
package import Models
internal import Platform
internal import Tensors
package import Weights

/// What a checkpoint in compressed-tensors' formats, or in ModelOpt's, is to hold.
package struct CompressedRecipe: Sendable, Hashable {
  /// The name on the command line: a scheme's, and `-experts` where routed experts alone have it.
  package let name: String
  /// How weights are stored.
  package let scheme: CompressedScheme
  /// Whether routed experts alone are stored so, as Kimi-K2-Thinking has it.
  package let isForExperts: Bool

  private static let expertSuffix = "-experts"

  private typealias Row = (name: String, scheme: CompressedScheme)

  /// The schemes that can be written under a program's names.
  private static func rows(of maker: CompressedScheme.Maker) -> [Row] {
    maker == .modelOpt
      ? [("nvfp4", ModelOptStorage.scheme(hasInputs: false))] : CompressedScheme.named
  }

  /// All names of what is written under a program's names.
  package static func names(of maker: CompressedScheme.Maker) -> [String] {
    rows(of: maker).map(\.name)
  }

  /// The recipe of that name, in any case; nil where there is none.
  package init?(named name: String, of maker: CompressedScheme.Maker = .compressedTensors) {
    let name = name.lowercased()
    isForExperts = name.hasSuffix(CompressedRecipe.expertSuffix)
    let base = isForExperts ? name.dropLast(CompressedRecipe.expertSuffix.count) : name[...]
    guard let row = CompressedRecipe.rows(of: maker).first(where: { $0.name == base }) else {
      return nil
    }
    self.name = name
    scheme = row.scheme
  }

  /// What keeps the codes of an FP8 checkpoint, or of one that another program has stored; nil for
  /// others, and where they have a program's names already.
  package init?(keeping source: SourceModel, for maker: CompressedScheme.Maker) {
    if maker == .modelOpt {
      guard source.config.otherMaker != .modelOpt, source.hasMovableFP4 else { return nil }
      let scheme = ModelOptStorage.scheme(hasInputs: source.hasScalesOfInputs)
      self.init("\(scheme)", scheme, isForExperts: false)
      return
    }
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

extension SourceModel {
  /// Whether all of its codes are NVFP4 that ModelOpt has names for, and there are some.
  fileprivate var hasMovableFP4: Bool {
    let codes = weights.all.filter(\.isCode)
    return !codes.isEmpty
      && codes.allSatisfy {
        $0.assembly.codeForm.map {
          Carrying.targets(of: $0).contains(.groups(.modelOptNVFP4))
        } == true
      }
  }

  /// Whether a scale of its activations stands beside all of its codes.
  fileprivate var hasScalesOfInputs: Bool {
    weights.all.filter(\.isCode).allSatisfy { weight in
      scaleOfInputs(of: weight) != nil
    }
  }

  /// What compressed-tensors divides the activations of NVFP4's modules by; nil where it is not there.
  func scaleOfInputs(of weight: SourceWeight) -> StoredTensor? {
    guard let module = weight.name.without(suffix: "weight") else { return nil }
    let stored = weights.inventory[config.storedName(of: module + "input_global_scale")]
    return stored?.type == .f32 && stored?.shape.elementCount == 1 ? stored : nil
  }
}

/// Modules that stay as they are, as compressed-tensors names them and as ModelOpt does.
private struct LeftOut {
  /// A name, or a pattern behind `re:`.
  let expression: String
  /// The same as patterns of file names. Parts of paths alone would not do: vLLM leaves out every
  /// module whose path contains an entry without asterisks.
  let globs: [String]

  init(_ expression: String, _ globs: String...) {
    (self.expression, self.globs) = (expression, globs)
  }

  /// Modules that loaders have in a class of their own, or that are too few and too sensitive:
  /// heads and tables, the router, what joins an MTP layer to the stream.
  ///
  /// vLLM keeps `eh_proj` as a plain module, and compares what it joins: `q_a_proj` with
  /// `kv_a_proj_with_mqa`, `gate_proj` with `up_proj`, the three matrices of all experts. Here both
  /// sides of each fall under the same target.
  static let always = [
    LeftOut("lm_head", "lm_head"), LeftOut(#"re:.*embed_tokens$"#, "*embed_tokens"),
    LeftOut(#"re:.*mlp\.gate$"#, "*mlp.gate"), LeftOut(#"re:.*eh_proj$"#, "*eh_proj"),
    LeftOut(#"re:.*shared_head\.head$"#, "*shared_head.head"),
  ]
  /// vLLM keeps the indexer's plain too.
  static let indexer = LeftOut(#"re:.*indexer\.weights_proj$"#, "*indexer.weights_proj")
  /// Kimi-K2-Thinking's own list.
  static let allButExperts = [
    LeftOut("re:.*self_attn.*", "*self_attn*"),
    LeftOut("re:.*shared_experts.*", "*shared_experts*"),
    LeftOut(
      #"re:.*mlp\.(gate|up|gate_up|down)_proj.*"#, "*mlp.gate_proj", "*mlp.up_proj",
      "*mlp.down_proj"),
  ]

  /// As a program has it.
  func names(for maker: CompressedScheme.Maker) -> [String] {
    maker == .modelOpt ? globs : [expression]
  }
}

extension CompressedRecipe {
  /// The modules of a network that no recipe quantizes, in a program's way to name them.
  package static func always(
    in config: ModelConfig, for maker: CompressedScheme.Maker
  ) -> [String] {
    (LeftOut.always + (config.indexer == nil ? [] : [LeftOut.indexer]))
      .flatMap { $0.names(for: maker) }
  }

  /// What belongs to other parts of a model, such as `vision_tower`, and stays as it is: loaders would
  /// look for codes of its linear modules too.
  static func others(in source: SourceModel, for maker: CompressedScheme.Maker) -> [String] {
    let roots = source.weights.all.filter { source.config.isOther($0.name) }.compactMap {
      $0.name.text.split(separator: ".").first { $0 != "model" }.map(String.init)
    }
    return Set(roots).sorted().flatMap {
      LeftOut("re:.*\($0)\\..*", "*\($0).*").names(for: maker)
    }
  }

  /// The modules of a network that stay as they are.
  package func ignored(in config: ModelConfig) -> [String] {
    let maker = scheme.maker
    var ignored = CompressedRecipe.always(in: config, for: maker)
    if isForExperts { ignored += LeftOut.allButExperts.flatMap { $0.names(for: maker) } }
    for tensor in config.expectedTensors() {
      guard !(isForExperts && tensor.expert == nil),
        let names = tensor.modulePattern?.names(for: maker),
        !scheme.fillsWords(columns: tensor.shape.dimensions[1]), !names.allSatisfy(ignored.contains)
      else { continue }
      ignored += names
    }
    return ignored
  }
}

extension ExpectedTensor {
  /// A pattern for the modules of its kind in all layers, those of all experts being one kind; nil
  /// for what is never quantized.
  fileprivate var modulePattern: LeftOut? {
    guard shape.dimensions.count == 2, let module else { return nil }
    let last = module.split(separator: ".").last ?? module
    switch part {
    case .expert: return LeftOut(#"re:.*mlp\.experts\.\d+\..*"#, "*mlp.experts.*")
    case .sharedExpert:
      return LeftOut(#"re:.*shared_experts\.\#(last)$"#, "*shared_experts.\(last)")
    case .mlp: return LeftOut(#"re:.*layers\.\d+\.mlp\.\#(last)$"#, "*.mlp.\(last)")
    case .attention: return LeftOut(#"re:.*self_attn\.\#(last)$"#, "*self_attn.\(last)")
    case .indexer: return LeftOut(#"re:.*indexer\.\#(last)$"#, "*indexer.\(last)")
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
