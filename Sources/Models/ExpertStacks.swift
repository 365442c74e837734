internal import Platform
package import Tensors

/// Experts as checkpoints of some networks have them: all of a layer in two stacks, gates above ups.
///
/// Everything else asks for each expert by itself; only what is written for these networks is stacked.
extension ModelConfig {
  /// Whether Hugging Face checkpoints of this config have stacks.
  package var storesStackedExperts: Bool {
    architecture.hasStackedExperts && modelType == architecture.modelTypes[0]
  }

  /// The stacks that hold the experts of a checkpoint; none where each stands for itself.
  ///
  /// Source: transformers 5.23's `Mistral4Experts`.
  package func expertStacks() -> [DialectTensor] {
    guard storesStackedExperts else { return [] }
    let gate: ExactText = "mlp.experts.{e}.gate_proj.weight"
    return tensors(
      NameTable(
        before: [],
        layer: [
          NameRow(
            huggingFace: gate, own: "mlp.experts.gate_up_proj", form: .expertPairs,
            second: "mlp.experts.{e}.up_proj.weight"),
          NameRow(
            huggingFace: "mlp.experts.{e}.down_proj.weight", own: "mlp.experts.down_proj",
            form: .experts),
        ]
      ) { "model.layers.\($0)." })
  }
}

extension ExpectedTensor {
  /// A stack of experts like this one, stored as it is.
  package func stacked(as stack: DialectTensor) -> ExpectedTensor {
    ExpectedTensor(
      name: stack.name, shape: stack.shape, storage: storage, part: part, layer: layer, expert: nil)
  }
}

extension ModelConfig.FP8Quantization {
  /// The grids of scales of a stack of matrices, each with blocks of its own; nil where a block would
  /// lie in two of them, or there are no blocks.
  ///
  /// - Parameter stack: (experts, rows, columns).
  /// - Parameter parts: matrices one below the other that each expert has there.
  package func scaleShape(ofStack stack: Shape, parts: Int) -> Shape? {
    let size = stack.dimensions
    guard size.count == 3, let blocks, size[1] % (parts * blocks.rows) == 0 else { return nil }
    return Shape([size[0], size[1] / blocks.rows, (size[2] + blocks.columns - 1) / blocks.columns])
  }
}
