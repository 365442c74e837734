internal import Codecs
internal import Formats
internal import Mixes
internal import Models
internal import Naming
package import Platform
internal import Tensors
internal import Text
internal import Weights

/// Decides what an MLX model holds: the tensors that mlx-lm's converter would write.
package struct MLXPlanner {
  private(set) var draft: PlanDraft
  /// Elements of all weights, scales apart: the index' `total_parameters`.
  private(set) var parameters = 0

  private let mlx: MLXRecipe
  /// What the output holds: the source's config with the MTP layers that are kept.
  private let target: ModelConfig
  /// What plain weights are stored in.
  private let plainType: ElementType
  private var rules: RecipeRules<MLXStorage>
  /// Settings of modules, in their order, and whether they were there before.
  private var settings: [(module: ExactText, setting: MLXSetting, isCarried: Bool)] = []

  /// Checks the source against its config and decides every tensor.
  ///
  /// - Throws: `.malformed` with the tensor that is missing or does not fit; `.usage` for a recipe
  ///   that cannot be followed.
  package init(_ source: SourceModel, recipe: Recipe, mlx: MLXRecipe) throws(Fault) {
    draft = PlanDraft(source, recipe)
    self.mlx = mlx
    guard recipe.mtp != .only else {
      throw Fault(.usage, "--mtp only goes with --to hf: mlx-lm runs no MTP layers alone")
    }
    try SourceCheck.requireUsualLayers(source, of: "mlx-lm")
    target = draft.keptConfig
    rules = RecipeRules(mlx.rules, for: target)
    plainType =
      if case .plain(let type) = mlx.storage?.kind { type } else { target.dataType ?? .bf16 }
    try draft.check()
    for tensor in target.mlxTensors(mlx.layout) {
      guard let parts = draft.parts(of: tensor) else { continue }
      parameters += tensor.shape.elementCount
      try decide(tensor, Assembly.stacked(parts).taking(tensor.form, of: target))
    }
    draft.dropUnused(
      other: "another part of the model, which mlx-lm leaves out",
      none: "mlx-lm has no such tensor")
    warn()
  }

  // MARK: Tensors

  private mutating func decide(_ tensor: DialectTensor, _ assembly: Assembly) throws(Fault) {
    let isModule = tensor.shape.dimensions.count > 1 && tensor.part != .router
    let rule =
      isModule ? rules.first(for: MLXNames.module(of: tensor.name), layer: tensor.layer) : nil
    let storage = rule?.type ?? mlx.storage
    let isPlain = if case .plain = storage?.kind { true } else { false }
    if !isPlain, try carry(tensor, assembly) { return }
    guard isModule, let setting = storage?.setting, let scheme = GroupScheme(setting) else {
      let type = if let rule, case .plain(let type) = rule.type.kind { type } else { plainType }
      let reason = rule.map { "rule \($0.match): " } ?? ""
      return try keep(
        tensor, assembly, as: type, reason + self.reason(tensor, isModule: isModule, type))
    }
    guard scheme.divides(columns: assembly.columns) else {
      return try keep(
        tensor, assembly, as: plainType,
        "rows of \(assembly.columns) are no groups of \(setting.groupSize)")
    }
    settings.append((MLXNames.module(of: tensor.name), setting, false))
    let quantization = Quantization(.groups(scheme), of: plainType)
    let reason = (rule.map { "rule \($0.match): " } ?? "\(tensor.part.rawValue): ") + setting.text
    try addCodes(tensor, assembly, scheme, .quantize(quantization, .codes), reason)
    try add(
      tensor, .scales, assembly, scheme.scaleType(of: plainType), groups: scheme,
      .quantize(quantization, .scales), "one per group of \(setting.groupSize)")
    guard scheme.offsets == .biases else { return }
    try add(
      tensor, .biases, assembly, plainType, groups: scheme, .quantize(quantization, .offsets),
      "one per group of \(setting.groupSize)")
  }

  /// Why a tensor stays a plain one.
  private func reason(_ tensor: DialectTensor, isModule: Bool, _ type: ElementType) -> String {
    if tensor.isCorrectionBias { return "decides routing: keeps its type" }
    if tensor.part == .router { return "mlx-lm quantizes no router" }
    return isModule
      ? "stored in \(type.rawValue)" : "\(tensor.part.rawValue): no matrix of a module"
  }

  private mutating func keep(
    _ tensor: DialectTensor, _ assembly: Assembly, as plainType: ElementType, _ reason: String
  ) throws(Fault) {
    let type = tensor.isCorrectionBias ? assembly.first.tensor.type : plainType
    try add(
      tensor.name, type, tensor.shape, nil, assembly, assembly.operation(to: type), reason)
  }

  /// Moves codes that MLX reads as they are.
  ///
  /// - Returns: false where there are none, or they would have to be turned around or cut within
  ///   groups.
  private mutating func carry(_ tensor: DialectTensor, _ assembly: Assembly) throws(Fault) -> Bool {
    for form in assembly.codeForm.map(Carrying.targets) ?? [] {
      guard case .groups(let scheme) = form, let setting = scheme.mlxSetting,
        let moved = Carrying.parts(of: assembly, as: form), let scales = moved.scales
      else { continue }
      settings.append((MLXNames.module(of: tensor.name), setting, true))
      try addCodes(
        tensor, moved.codes.assembly, scheme, moved.codes.operation,
        "\(setting.text), \(moved.origin)", isCarried: moved.isConverted)
      for (component, part) in [(MLXNames.Component.scales, scales), (.biases, moved.offsets)] {
        guard let part else { continue }
        try add(
          tensor, component, part.assembly, part.type, groups: scheme, part.operation,
          "one per group of \(setting.groupSize), \(moved.origin)",
          isCarried: moved.isConverted)
      }
      return true
    }
    return false
  }

  private mutating func addCodes(
    _ tensor: DialectTensor, _ assembly: Assembly, _ scheme: GroupScheme, _ operation: Operation,
    _ reason: String, isCarried: Bool = false
  ) throws(Fault) {
    try add(
      tensor.name, scheme.code, tensor.shape, .u32, assembly, operation, reason,
      isCarried: isCarried)
  }

  /// Adds scales or biases: (…, groups).
  private mutating func add(
    _ tensor: DialectTensor, _ component: MLXNames.Component, _ assembly: Assembly,
    _ type: ElementType, groups scheme: GroupScheme, _ operation: Operation, _ reason: String,
    isCarried: Bool = false
  ) throws(Fault) {
    let columns = tensor.shape.dimensions.last ?? 1
    guard
      let shape = Shape(tensor.shape.dimensions.dropLast() + [scheme.groups(columns: columns)])
    else { preconditionFailure("there are fewer groups than columns") }
    try add(
      "\(MLXNames.module(of: tensor.name)).\(component.rawValue)", type, shape,
      // mlx has no types of one byte but this.
      type.bits == 8 ? .u8 : nil, assembly, operation, reason, isCarried: isCarried)
  }

  private mutating func add(
    _ name: ExactText, _ type: ElementType, _ shape: Shape, _ container: ElementType?,
    _ assembly: Assembly, _ operation: Operation, _ reason: String, isCarried: Bool = false
  ) throws(Fault) {
    let entry =
      container.map { OutputLayout.Entry(name: name, type: type, shape: shape, in: $0) }
      ?? OutputLayout.Entry(name: name, type: type, shape: shape)
    try draft.add(entry, assembly, operation, reason, of: name, isCarried: isCarried)
  }

  // MARK: Around the tensors

  private mutating func warn() {
    draft.warnings += draft.source.storageNotes
    draft.warnings += LoaderLimit.lines(LoaderLimit.mlx, for: target)
    if let gguf = draft.source.gguf {
      draft.warnings += gguf.notes
      draft.warnings.append("a GGUF file's tokenizer is not turned into tokenizer.json")
    }
    draft.warnings += draft.source.skippedFiles
  }

  /// A folder with shards, index and config, and the side files of the source.
  package func output() throws(Fault) -> PlannedOutput {
    let (source, recipe, tensors) = (draft.source, draft.recipe, draft.tensors)
    let layout = try SafetensorsWriterLayout(
      tensors.map(\.entry), shardLimit: recipe.shardLimit ?? MLXRecipe.usualShardLimit,
      order: .given,
      metadata: [("format", "mlx")] + recipe.provenance(of: tensors, from: source),
      notes: recipe.sourceHashes(of: tensors, from: source))
    let documents = MLXDocuments(
      document: source.networkConfig, config: target, settings: settings,
      usual: mlx.storage?.setting,
      plainType: mlx.storage.map { _ in plainType },
      dropsMTP: recipe.mtp == .drop)
    let generation = try TokenizerFiles.json("generation_config.json", in: source.checkpoint.folder)
    return PlannedOutput(
      tensors: tensors, layout: layout.output,
      documents: [
        PlannedDocument(
          name: SafetensorsIndex.fileName, kind: .index,
          bytes: MLXDocuments.index(layout.output, parameters: parameters)),
        PlannedDocument(
          name: "config.json", kind: .config,
          bytes: documents.configText(endOfText: generation?["eos_token_id"])),
      ],
      sideFiles: source.sideFiles, dropped: draft.dropped, warnings: draft.warnings,
      unheeded: rules.unheeded)
  }
}

extension DialectTensor {
  /// The bias by which experts are chosen, which mlx-lm does not convert.
  fileprivate var isCorrectionBias: Bool { part == .router && shape.dimensions.count == 1 }
}

extension MLXSetting {
  /// `affine, 4 bits, groups of 64`
  fileprivate var text: String { "\(mode.rawValue), \(bits) bits, groups of \(groupSize)" }
}
