internal import Codecs
internal import Formats
internal import Models
internal import Platform
internal import Tensors
internal import Weights

/// What checkpoints have in stacks: the experts of a layer, with their scales.
extension Planner {
  private var stacks: [DialectTensor] {
    if case .huggingFace = recipe.target { target.expertStacks() } else { [] }
  }

  /// The weights to write: those of the source, but for the experts that stand in stacks.
  func stackedWeights() -> [(weight: SourceWeight, stack: DialectTensor?)] {
    var stackOf: [ExactText: Int] = [:]
    let stacks = stacks
    for (index, stack) in stacks.enumerated() {
      for source in stack.sources { stackOf[source] = index }
    }
    var written: Set<Int> = []
    return source.weights.all.compactMap { weight in
      guard let index = stackOf[weight.name] else { return (weight, nil) }
      guard written.insert(index).inserted else { return nil }
      let stack = stacks[index]
      let parts = stack.sources.compactMap { source.weights[$0]?.assembly }
      // What must be there was checked.
      guard parts.count == stack.sources.count else { return (weight, nil) }
      return (SourceWeight(stack.name, stack.shape, .stacked(parts)), stack)
    }
  }

  /// Decides a stack.
  mutating func decide(_ weight: SourceWeight, stack: DialectTensor) throws(Fault) {
    let isFP8 = weight.assembly.allLeaves { tensor, _ in tensor.type == .f8E4M3 }
    guard let weights = recipe.weights, weights.type != .f8E4M3 || !isFP8 else {
      return isFP8 ? try carry(weight, stack) : try keepStack(weight)
    }
    guard weights.type == .f8E4M3, target.fp8 != nil else {
      return try add(weight, weights.type, "asked for by --quant \(weights.name), in a stack")
    }
    guard let fp8 = target.fp8, let blocks = fp8.blocks,
      let grid = fp8.scaleShape(ofStack: stack.shape, parts: stack.form == .expertPairs ? 2 : 1)
    else {
      throw fault(
        weight, "stands in a stack, whose blocks would lie in two experts",
        expected: "--block-size that divides moe_intermediate_size and hidden_size")
    }
    let quantization = Quantization(
      .blocks(BlockSize(blocks), fp8.powerOfTwoScales ? .powerOfTwo : .f32))
    try add(
      weight, .f8E4M3, "expert: a linear layer, in a stack",
      operation: .quantize(quantization, .codes))
    try add(
      weight, .f32, "one per \(blocks.rows)×\(blocks.columns) block",
      operation: .quantize(quantization, .scales),
      name: ExpectedTensor.scaleName(for: weight.name), shape: grid)
  }

  /// Leaves out what the output's loaders have no names for.
  mutating func leave(_ weight: SourceWeight) {
    draft.dropped += weight.dropped("another part of the model, for which mistral4 has no names")
  }

  private mutating func keepStack(_ weight: SourceWeight) throws(Fault) {
    guard !weight.isCode else {
      throw fault(
        weight, "is quantized in a way that Hugging Face checkpoints do not know",
        expected: "--quant bf16, f16, f32 or fp8")
    }
    try add(weight, weight.type, "kept as it is, in a stack")
  }

  /// Copies codes of FP8, their scales, and the scales of what they are multiplied with.
  private mutating func carry(_ weight: SourceWeight, _ stack: DialectTensor) throws(Fault) {
    let codes = weight.assembly.component { tensor, _ in tensor }
    let leaves = weight.assembly.leaves
    let pairs = stack.form == .expertPairs ? 2 : 1
    let grids = leaves.compactMap(\.scaling).map(\.scales)
    guard let codes, !grids.isEmpty, grids.count == leaves.count else {
      throw fault(weight, "has no scales", expected: "scales of every expert")
    }
    // One scale for the gate and the up of an expert, or a row of each.
    let isShared = (0..<leaves.count / pairs).allSatisfy {
      grids[$0 * pairs].offset == grids[$0 * pairs + pairs - 1].offset
        && grids[$0 * pairs].shard == grids[$0 * pairs + pairs - 1].shard
    }
    let kept = isShared ? stride(from: 0, to: grids.count, by: pairs).map { grids[$0] } : grids
    let columns = grids[0].shape.dimensions.last ?? 1
    guard isShared || target.fp8?.scaleShape(ofStack: stack.shape, parts: pairs) != nil,
      let shape = Shape([
        stack.shape.dimensions[0],
        kept.reduce(0) { $0 + $1.shape.elementCount } / columns / stack.shape.dimensions[0],
        columns,
      ])
    else {
      throw fault(
        weight, "has scales of its own for gates and for ups, and stands in a stack that has one",
        expected: "--quant bf16")
    }
    try add(SourceWeight(weight.name, weight.shape, codes), .f8E4M3, "kept as it is, in a stack")
    try append(
      OutputLayout.Entry(
        name: ExpectedTensor.scaleName(for: weight.name), type: kept[0].type, shape: shape),
      .stacked(kept.map { Assembly($0) }), .convert, "kept as they are, in a stack", of: weight)
    try carryInputScales(weight, stack, pairs: pairs)
  }

  /// Copies the scales of activations that stand beside codes.
  private mutating func carryInputScales(
    _ weight: SourceWeight, _ stack: DialectTensor, pairs: Int
  ) throws(Fault) {
    let inventory = source.weights.inventory
    let scales = stride(from: 0, to: stack.sources.count, by: pairs).compactMap { index in
      let stored = source.config.storedName(of: stack.sources[index])
      return stored.without(suffix: ".weight").flatMap { inventory[$0 + ".activation_scale"] }
    }
    guard scales.count == stack.shape.dimensions[0] else { return }
    let own = scales[0].shape.dimensions
    guard let shape = Shape([scales.count] + (own == [1] ? [] : own)) else { return }
    try append(
      OutputLayout.Entry(
        name: weight.name + "_activation_scale", type: scales[0].type, shape: shape),
      .stacked(scales.map { Assembly($0) }), .convert, "kept with the codes that it stands beside",
      of: weight)
  }

  private func fault(_ weight: SourceWeight, _ message: String, expected: String) -> Fault {
    Fault(
      .usage, message, file: source.weights.path(of: weight.assembly.first.tensor),
      tensor: weight.name, expected: expected, found: weight.type.rawValue)
  }
}
