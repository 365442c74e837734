internal import Formats
package import Mixes
internal import Models
package import Platform
internal import Tensors
internal import Weights

/// Decides what a GGUF file holds that is made from another one, as llama-quantize decides it.
package struct GGUFRequantizer {
  private(set) var draft: PlanDraft
  /// What of the recipe no tensor heeds.
  private(set) var unheeded: [String] = []
  private(set) var metadata: Metadata
  /// Tensors of each split, where those of the source are kept.
  private(set) var splits: [Int]?

  /// Decides every tensor.
  ///
  /// - Throws: `.usage` where the recipe cannot be followed, above all where a tensor is quantized
  ///   already and may not be quantized again.
  package init(
    _ model: GGUFModel, _ source: SourceModel, recipe: Recipe, gguf: GGUFRecipe
  ) throws(Fault) {
    draft = PlanDraft(source, recipe)
    guard recipe.mtp == .keep || model.config.mtpLayers == 0 else {
      throw Fault(
        .usage,
        "--mtp \(recipe.mtp.rawValue) goes with Hugging Face checkpoints: llama-quantize "
          + "keeps all layers of a GGUF file")
    }
    let gguf = try gguf.resolved(for: model.config)
    metadata = model.files.metadata
    // The writer has one alignment, the usual one.
    metadata["general.alignment"] = nil
    // What was said of the source's making is not true of what is made from it.
    for key in metadata.keys where key.hasPrefix(Provenance.prefix) { metadata[key] = nil }
    draft.warnings = model.notes
    let inventory = model.files.inventory
    let mix = try GGUFRequantizer.mix(model, gguf)
    for choice in mix.choices {
      guard let tensor = inventory[choice.tensor.name] else { continue }
      let isSame = choice.type == tensor.type
      let entry = try choice.entry(tensor.shape)
      draft.add(
        PlannedTensor(
          entry: entry, assembly: Assembly(tensor), operation: isSame ? .copy : .convert,
          reason: choice.reason, importance: isSame ? nil : try gguf.importance(of: entry),
          fallback: choice.fallback))
    }
    if gguf.keepsSplit {
      splits = inventory.shards.indices.map { shard in
        draft.tensors.count { $0.source.shard == shard }
      }
    }
    if let warning = gguf.importanceWarning(draft.tensors.filter { $0.operation != .copy }) {
      draft.warnings.append(warning)
    }
    let names = draft.tensors.map(\.entry.name)
    try gguf.requireReadable(metadata, names: names)
    unheeded = try gguf.unheeded(names)
    // A file without one is taken for what most of its tensors are, and stays so.
    let same = metadata["general.file_type"]?.integer.flatMap { UInt32(exactly: $0) }
    if let id = gguf.fileTypeID ?? same {
      metadata.noteQuantization(
        as: id, overrides: gguf.overrides, importance: gguf.importance?.notes ?? Metadata())
    } else {
      metadata.override(gguf.overrides)
    }
  }

  /// The types; faults name the file as well as the tensor.
  private static func mix(_ model: GGUFModel, _ gguf: GGUFRecipe) throws(Fault) -> TypeMix {
    let inventory = model.files.inventory
    var metadata = model.files.metadata
    try gguf.requireKinds(metadata)
    metadata.override(gguf.overrides)
    let stored = inventory.tensors.sorted { ($0.shard, $0.offset) < ($1.shard, $1.offset) }
    do throws(Fault) {
      return try TypeMix(
        gguf,
        tensors: stored.map { tensor in
          TypeMix.Tensor(
            name: tensor.name, extents: tensor.shape.dimensions.reversed(), type: tensor.type)
        },
        model: TypeMix.Model(
          metadata, architecture: model.config.architecture.ggufName),
        importance: gguf.importance?.names)
    } catch {
      var fault = error
      if let tensor = error.tensor.flatMap({ inventory[$0] }) {
        fault.file = inventory.shards[tensor.shard].file.path
      }
      throw fault
    }
  }
}
