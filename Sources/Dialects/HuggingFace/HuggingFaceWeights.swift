package import Formats
package import Models
package import Platform
internal import Tensors
package import Weights

/// Reads a Hugging Face checkpoint: every tensor is a weight, but for the grids of scales beside
/// FP8 ones.
package struct HuggingFaceWeights {
  package let inventory: Inventory
  package let config: ModelConfig
  private var weights: [SourceWeight] = []
  private var faults: [ExactText: Fault] = [:]
  private var grids: [StoredTensor] = []
  /// Tensors, by their index, that scale a weight.
  private var isUsed: [Bool]

  package static func read(
    _ inventory: Inventory, config: ModelConfig
  ) throws(Fault) -> SourceWeights {
    var reader = HuggingFaceWeights(inventory: inventory, config: config)
    reader.weights.reserveCapacity(inventory.tensors.count)
    for tensor in inventory.tensors { reader.add(tensor) }
    reader.findOrphans()
    return try SourceWeights(inventory, reader.weights, faults: reader.faults)
  }

  private init(inventory: Inventory, config: ModelConfig) {
    self.inventory = inventory
    self.config = config
    isUsed = [Bool](repeating: false, count: inventory.tensors.count)
  }

  private mutating func add(_ tensor: StoredTensor) {
    if ExpectedTensor.weightName(ofScale: tensor.name) != nil {
      grids.append(tensor)
      return
    }
    guard tensor.type == .f8E4M3, let scales = inventory[ExpectedTensor.scaleName(for: tensor.name)]
    else {
      weights.append(SourceWeight(config.ownName(of: tensor.name), tensor))
      return
    }
    isUsed[scales.index] = true
    guard let fp8 = config.fp8 else {
      faults[config.ownName(of: tensor.name)] = fault(
        tensor, "is FP8 with scales", "a quantization_config in config.json", "none")
      return
    }
    guard let grid = fp8.scaleShape(of: tensor.shape) else {
      faults[config.ownName(of: tensor.name)] = fault(
        tensor, "has scales", "a matrix", "\(tensor.shape)")
      return
    }
    guard
      let scaling = Scaling(
        scales, block: BlockSize(fp8), rows: tensor.shape.dimensions[0],
        columns: tensor.shape.dimensions[1])
    else {
      let types = Scaling.types.map(\.rawValue).sorted().joined(separator: ", ")
      faults[config.ownName(of: tensor.name)] =
        scales.shape == grid
        ? fault(scales, "has a type that scales cannot have", types, scales.type.rawValue)
        : fault(scales, "has the wrong shape", "\(grid)", "\(scales.shape)")
      return
    }
    weights.append(SourceWeight(config.ownName(of: tensor.name), tensor, scaling: scaling))
  }

  /// Grids beside no FP8 weight.
  private mutating func findOrphans() {
    for tensor in grids where !isUsed[tensor.index] {
      let name = ExpectedTensor.weightName(ofScale: tensor.name) ?? ""
      faults[config.ownName(of: tensor.name)] = fault(
        tensor, "scales no FP8 weight", "\(name) in F8_E4M3",
        inventory[name]?.type.rawValue ?? "nothing")
    }
  }

  private func fault(
    _ tensor: StoredTensor, _ message: String, _ expected: String, _ found: String
  ) -> Fault {
    Fault(
      .malformed, message, file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
      expected: expected, found: found)
  }
}

extension BlockSize {
  /// The blocks that a config names.
  package init(_ fp8: ModelConfig.FP8Quantization) {
    self.init(rows: fp8.blockRows, columns: fp8.blockColumns)
  }
}
