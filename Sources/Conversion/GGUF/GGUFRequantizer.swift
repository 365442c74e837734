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
    var mix = QuantMix(gguf, network: GGUFRequantizer.network(model), hasImportance: false)
    for tensor in inventory.tensors.sorted(by: { DeepSeek2Names.precedes($0.name, $1.name) }) {
      let choice = mix.choose(name: tensor.name, shape: tensor.shape, source: tensor.type)
      let isSame = choice.type == tensor.type
      guard isSame || !tensor.type.isBlock || gguf.allowsRequantizing else {
        throw Fault(
          .usage, "is quantized already", file: inventory.shards[tensor.shard].file.path,
          tensor: tensor.name, expected: "--allow-requantize, or a source of plain numbers",
          found: tensor.type.rawValue)
      }
      if !isSame { try GGUFPlanner.requireWritable(choice, tensor.name) }
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
    GGUFPlanner.setFileType(gguf.fileType, in: &metadata)
  }

  private static func network(_ model: GGUFModel) -> QuantMix.Network {
    let names = model.files.inventory.tensors.map(\.name)
    let prefix = DeepSeekV3Config.deepSeek2Architecture
    let shared = model.files.metadata["\(prefix).attention.head_count_kv"]?.integer ?? 0
    return QuantMix.Network(
      layers: model.config.storedLayers, experts: model.config.routedExperts,
      groupedQueries: shared > 0 ? model.config.heads / shared : 0,
      tiedEmbeddings: model.config.tiedEmbeddings,
      jointKeyValues: names.count { $0.contains("attn_kv_b.weight") })
  }
}
