internal import Formats
internal import Models
internal import Platform
internal import Tensors

/// Decides what a GGUF file holds that is made from another one, as llama-quantize decides it.
struct GGUFRequantizer {
  private(set) var tensors: [PlannedTensor] = []
  private(set) var dropped: [DroppedTensor] = []
  private(set) var warnings: [String] = []
  private(set) var metadata: Metadata

  /// Decides every tensor.
  ///
  /// - Throws: `.usage` where the recipe cannot be followed, above all where a tensor is quantized
  ///   already and may not be quantized again.
  init(_ model: GGUFModel, recipe: Recipe, gguf: GGUFRecipe) throws(Fault) {
    guard recipe.mtp == .keep || model.config.mtpLayers == 0 else {
      throw Fault(
        .usage,
        "--mtp \(recipe.mtp.rawValue) goes with Hugging Face checkpoints: llama-quantize "
          + "keeps all layers of a GGUF file")
    }
    metadata = model.files.metadata
    // The writer has one alignment, the usual one.
    metadata["general.alignment"] = nil
    warnings = model.notes
    let inventory = model.files.inventory
    let mix = try GGUFRequantizer.mix(model, gguf)
    for choice in mix.choices {
      guard let tensor = inventory[choice.tensor.name] else { continue }
      let isSame = choice.type == tensor.type
      guard
        let entry = OutputLayout.Entry(name: tensor.name, type: choice.type, shape: tensor.shape)
      else {
        throw Fault(
          .usage, "cannot be stored in this type", tensor: tensor.name,
          expected: "rows of a multiple of \(choice.type.blockElements)",
          found: "\(tensor.shape) of \(choice.type.rawValue)")
      }
      tensors.append(
        PlannedTensor(
          entry: entry, source: tensor, scales: nil,
          operation: isSame
            ? .copy : .assemble(Assembly(parts: [Assembly.Part(tensor)], rows: .stacked)),
          reason: choice.reason))
    }
    metadata.noteQuantization(as: gguf.fileType)
  }

  /// The types; faults name the file as well as the tensor.
  private static func mix(_ model: GGUFModel, _ gguf: GGUFRecipe) throws(Fault) -> TypeMix {
    let (inventory, prefix) = (model.files.inventory, DeepSeekV3Config.deepSeek2Architecture)
    func count(_ key: String) -> Int { model.files.metadata["\(prefix).\(key)"]?.integer ?? 0 }
    do throws(Fault) {
      return try TypeMix(
        gguf,
        tensors: inventory.tensors.map { tensor in
          TypeMix.Tensor(
            name: tensor.name, extents: tensor.shape.dimensions.reversed(), type: tensor.type)
        },
        model: TypeMix.Model(
          blockCount: count("block_count"), expertCount: count("expert_count"),
          headCount: count("attention.head_count"),
          keyValueHeadCount: count("attention.head_count_kv")))
    } catch {
      var fault = error
      if let tensor = error.tensor.flatMap({ inventory[$0] }) {
        fault.file = inventory.shards[tensor.shard].file.path
      }
      throw fault
    }
  }
}
