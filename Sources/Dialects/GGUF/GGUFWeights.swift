package import Formats
package import Models
package import Platform
internal import Tensors
package import Weights

/// Reads a GGUF file of the architecture `deepseek2`: each expert is a slice of its stack, and
/// `kv_b_proj` is joined of its halves where the file has it split.
package struct GGUFWeights {
  private let inventory: Inventory
  private let config: ModelConfig
  private var weights: [SourceWeight] = []
  private var faults: [ExactText: Fault] = [:]
  private var halves: [ExactText: (keys: StoredTensor?, values: StoredTensor?)] = [:]

  package static func read(
    _ inventory: Inventory, config: ModelConfig
  ) throws(Fault) -> SourceWeights {
    var reader = GGUFWeights(inventory: inventory, config: config)
    for tensor in inventory.tensors { try reader.add(tensor) }
    return try SourceWeights(inventory, reader.weights, faults: reader.faults)
  }

  private init(inventory: Inventory, config: ModelConfig) {
    self.inventory = inventory
    self.config = config
  }

  private mutating func add(_ tensor: StoredTensor) throws(Fault) {
    // Names that the architecture does not have stay.
    guard let (name, form) = DeepSeek2Names.origin(of: tensor.name) else {
      weights.append(SourceWeight(tensor.name, tensor))
      return
    }
    switch form {
    case .whole: weights.append(SourceWeight(name, tensor))
    case .keyHeads:
      halves[name, default: (nil, nil)].keys = tensor
      join(name)
    case .valueHeads:
      halves[name, default: (nil, nil)].values = tensor
      join(name)
    case .experts:
      guard tensor.shape.dimensions.count == 3, let slices = tensor.slices(config.routedExperts)
      else {
        throw Fault(
          .malformed, "does not hold as many matrices as there are experts",
          file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
          expected: "\(config.routedExperts)", found: "\(tensor.shape)")
      }
      for (expert, slice) in slices.enumerated() {
        weights.append(SourceWeight(ExpectedTensor.name(name, expert: expert), slice))
      }
    }
  }

  /// Adds a joint matrix once both halves were met; files from before the split have it whole.
  private mutating func join(_ name: ExactText) {
    guard let keys = halves[name]?.keys, let values = halves[name]?.values else { return }
    let (heads, latent) = (config.heads, config.keyValueRank)
    let expected = [
      (keys, [heads, latent, config.nopeHeadSize]),
      (values, [heads, config.valueHeadSize, latent]),
    ]
    for (half, dimensions) in expected where half.shape.dimensions != dimensions {
      faults[name] = Fault(
        .malformed, "has the wrong shape", file: inventory.shards[half.shard].file.path,
        tensor: half.name, expected: "\(dimensions)", found: "\(half.shape)")
      return
    }
    weights.append(
      SourceWeight(name, .joined(keys: Assembly(keys), values: Assembly(values), heads: heads)))
  }
}
