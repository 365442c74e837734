internal import Formats
package import Mixes
internal import Models
internal import Naming
package import Platform
internal import Tensors
internal import Text
internal import Weights

/// Decides what a GGUF file holds that is made from a Hugging Face checkpoint: the tensors and
/// metadata that llama.cpp's converter and quantizer would give one after the other.
package struct GGUFPlanner {
  private(set) var draft: PlanDraft
  /// What of the recipe no tensor heeds.
  private(set) var unheeded: [String] = []
  private(set) var metadata = Metadata()
  let gguf: GGUFRecipe
  /// What the output holds: the source's config with the MTP layers that are kept.
  let target: ModelConfig

  var source: SourceModel { draft.source }
  var recipe: Recipe { draft.recipe }

  /// Checks the source against its config and decides every tensor.
  ///
  /// - Throws: `.malformed` with the tensor that is missing or does not fit; `.usage` for a recipe
  ///   that cannot be followed.
  package init(_ source: SourceModel, recipe: Recipe, gguf: GGUFRecipe) throws(Fault) {
    draft = PlanDraft(source, recipe)
    self.gguf = try gguf.resolved(for: source.config)
    try GGUFPlanner.requireWritable(source, self.gguf)
    guard !gguf.keepsSplit else {
      throw Fault(.usage, "--keep-split goes with a GGUF file as the source")
    }
    if recipe.mtp == .only {
      try GGUFPlanner.requirePredictor(source, draft.presentMTPLayers)
    }
    var target = draft.keptConfig
    if target.v4 != nil, recipe.mtp == .keep { target.mtpLayers = 0 }
    self.target = target
    try draft.check()
    try decide()
    draft.dropUnused(
      other: "another part of the model: llama.cpp has it in a file of its own (mmproj)",
      mtp: source.config.v4.map { _ in "llama.cpp's files of the network have no place for it" },
      none: "llama.cpp has no such tensor")
    try describe()
    warn()
  }

  // MARK: Tensors

  private mutating func decide() throws(Fault) {
    var expected: [(tensor: DialectTensor, assembly: Assembly)] = []
    for tensor in target.ggufTensors(isPredictor: recipe.mtp == .only) {
      if recipe.mtp == .only { for name in tensor.sources { _ = try source.weights.weight(name) } }
      guard let parts = draft.parts(of: tensor) else { continue }
      let whole = tensor.form == .beside ? Assembly.beside(parts) : .stacked(parts)
      expected.append((tensor, whole.taking(tensor.form, of: target)))
    }
    var before: [TypeMix.Tensor] = []
    for (tensor, assembly) in expected {
      before.append(
        TypeMix.Tensor(
          name: tensor.name, extents: tensor.shape.dimensions.reversed(),
          type: try typeBefore(of: tensor, assembly)))
    }
    let mix = try TypeMix(
      gguf, tensors: before, model: try model(), importance: gguf.importance?.names)
    let choices = Dictionary(uniqueKeysWithValues: mix.choices.map { ($0.tensor.name, $0) })
    for (tensor, assembly) in expected {
      guard let choice = choices[tensor.name] else { continue }
      let entry = try choice.entry(tensor.shape)
      let scale = target.scaleName(ofGGUF: tensor.name)
      let apart = scale != nil && entry.type == .nvfp4 ? BlocksTimesNumber(assembly) : nil
      draft.add(
        PlannedTensor(
          entry: entry, assembly: apart?.blocks ?? assembly, operation: .convert,
          reason: gguf.fileType == nil ? "as llama.cpp's converter has it" : choice.reason,
          importance: try gguf.importance(of: entry), fallback: choice.fallback))
      guard let apart, let scale, let shape = Shape([apart.numbers.rows]),
        let entry = OutputLayout.Entry(name: scale, type: .f32, shape: shape)
      else { continue }
      draft.add(
        PlannedTensor(
          entry: entry,
          assembly: apart.numbers, operation: apart.operation,
          reason: "what llama.cpp multiplies each matrix of \(tensor.name) by"))
    }
  }

  /// The counts that the mix looks at, as the metadata will have them.
  private func model() throws(Fault) -> TypeMix.Model {
    let (before, after) = target.ggufMetadata
    var metadata = before
    metadata.merge(after)
    try gguf.requireKinds(metadata)
    metadata.override(gguf.overrides)
    return TypeMix.Model(metadata, architecture: target.architecture.ggufName)
  }

  // MARK: Metadata

  private mutating func describe() throws(Fault) {
    let folder = source.checkpoint.folder
    let general = GeneralMetadata(
      architecture: target.architecture.ggufName,
      folderName: Folder.ownName(of: folder).text, config: source.checkpoint.config,
      generation: try TokenizerFiles.json("generation_config.json", in: folder),
      tensors: draft.tensors.map { ($0.entry.name, $0.entry.shape) })
    let (before, after) = target.ggufMetadata
    var sections = [general.metadata, before, after]
    if let tokenizer = try CheckpointTokenizer.read(in: folder) {
      sections.append(
        try tokenizer.ggufMetadata(
          config: source.checkpoint.config, splitter: splitter(of: tokenizer),
          named: target.architecture.namedTokens, vocabSize: target.vocabSize, folder: folder))
    } else {
      var none = Metadata()
      none["tokenizer.ggml.model"] = .string("none")
      // Readers count tokens otherwise.
      let key = "\(target.architecture.ggufName).vocab_size"
      none[key] = .uint32(UInt32(clamping: target.vocabSize))
      sections.append(none)
      draft.warnings.append(
        "there is no tokenizer.json or tiktoken.model: the output takes and gives token ids, and no text"
      )
    }
    for section in sections { metadata.merge(section) }
    let names = draft.tensors.map(\.entry.name)
    try gguf.requireReadable(metadata, names: names)
    unheeded = try gguf.unheeded(names)
    metadata.noteQuantization(
      as: gguf.fileTypeID ?? GGUFFileType.mxfp4MoE.id, overrides: gguf.overrides,
      importance: gguf.importance?.notes ?? Metadata())
  }

  /// llama.cpp's name for how a tokenizer splits texts: the network's own, or, where its members
  /// have several, the one that cuts as `tokenizer.json` does.
  private mutating func splitter(of tokenizer: CheckpointTokenizer) -> String {
    let usual = target.architecture.preTokenizer
    guard case .json(let files) = tokenizer else {
      draft.warnings.append(
        "llama.cpp cuts words otherwise than Kimi's code, at combining marks (Arabic, Thai) and not "
          + "within camelCase: such texts may get other token ids there")
      return usual
    }
    let others = target.architecture.otherPreTokenizers
    guard !others.isEmpty else { return usual }
    if let name = files.splitterName(among: [usual] + others) { return name }
    draft.warnings.append(
      "tokenizer.json splits texts in a way that llama.cpp has no name for: it is told \(usual), "
        + "and gives some texts other token ids")
    return usual
  }

  private mutating func warn() {
    if let warning = gguf.importanceWarning(draft.tensors) { draft.warnings.append(warning) }
    let isMix = gguf.fileType?.isQuantized == true && gguf.base == nil && !gguf.isPure
    if target.mtpLayers > 0, isMix {
      draft.warnings.append(
        "MTP layers count as layers in llama.cpp's mix of types, so that some tensors get other "
          + "types than with --mtp drop")
    }
    draft.warnings += source.storageNotes
    draft.warnings += warningsOfV4(hasTemplate: metadata["tokenizer.chat_template"] != nil)
    draft.warnings += LoaderLimit.lines(target.llamaLimits, for: target)
  }
}
