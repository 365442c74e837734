package import Formats
package import Models
internal import Naming
package import Platform
internal import Tensors
package import Weights

/// Reads a GGUF file of a network of the family: each expert is a slice of its stack, and
/// `kv_b_proj` is joined of its halves where the file has both, as llama.cpp reads them; a whole one
/// beside them repeats it.
package struct GGUFWeights {
  private let inventory: Inventory
  private let config: ModelConfig
  private let isPredictor: Bool
  private var weights: [SourceWeight] = []
  private var copies: [SourceWeights.Copy] = []
  private var faults: [ExactText: Fault] = [:]
  /// What says something about activations, and nothing about weights.
  private var companions: [StoredTensor] = []
  private var halves: [ExactText: (keys: StoredTensor?, values: StoredTensor?)] = [:]

  /// The weights of a file by their names in the network.
  ///
  /// - Throws: `.malformed` where a tensor cannot be divided as its name says, or two weights have one
  ///   name.
  package static func read(
    _ inventory: Inventory, config: ModelConfig
  ) throws(Fault) -> SourceWeights {
    var reader = GGUFWeights(inventory: inventory, config: config)
    for tensor in inventory.tensors { try reader.add(tensor) }
    return try SourceWeights(
      inventory, reader.weights, faults: reader.faults, companions: reader.companions,
      copies: reader.copies)
  }

  private init(inventory: Inventory, config: ModelConfig) {
    self.inventory = inventory
    self.config = config
    isPredictor = config.isPredictor { inventory[$0] != nil }
  }

  private mutating func add(_ tensor: StoredTensor) throws(Fault) {
    if let matrix = config.matrixName(ofGGUFScale: tensor.name), inventory[matrix] != nil {
      if ModelConfig.isInputScale(ofGGUF: tensor.name) { companions.append(tensor) }
      return
    }
    // Names that the architecture does not have stay.
    guard let (name, form, second) = config.origin(ofGGUF: tensor.name, isPredictor: isPredictor)
    else {
      weights.append(SourceWeight(tensor.name, tensor))
      return
    }
    switch form {
    case .whole:
      let half = DeepSeek2Names.halves(ofJoint: tensor.name).map { inventory[$0] }
      if !half.isEmpty, half.allSatisfy({ $0 != nil }) {
        copies.append(SourceWeights.Copy(name, tensor))
      } else {
        weights.append(SourceWeight(name, tensor, scaling: try numbers(of: tensor, 1)?[0]))
      }
    case .beside:
      let whole = Assembly(tensor)
      guard let second, whole.columns % 2 == 0 else {
        throw oddSize(tensor, "columns", "two halves")
      }
      weights.append(SourceWeight(name, whole.columns(0..<whole.columns / 2)))
      weights.append(SourceWeight(second, whole.columns(whole.columns / 2..<whole.columns)))
    case .keyHeads:
      halves[name, default: (nil, nil)].keys = tensor
      join(name)
    case .valueHeads:
      halves[name, default: (nil, nil)].values = tensor
      join(name)
    case .experts, .expertPairs:
      guard tensor.shape.dimensions.count == 3, let slices = tensor.slices(config.routedExperts)
      else {
        throw Fault(
          .malformed, "does not hold as many matrices as there are experts",
          file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
          expected: "\(config.routedExperts)", found: "\(tensor.shape)")
      }
      let names = [name] + (second.map { [$0] } ?? [])
      let scalings = try numbers(of: tensor, slices.count)
      for (expert, slice) in slices.enumerated() {
        guard let parts = slice.rowParts(names.count) else {
          throw oddSize(tensor, "rows", "gates and ups of each expert")
        }
        for (name, part) in zip(names, parts) {
          weights.append(
            SourceWeight(
              ExpectedTensor.name(name, expert: expert), part, scaling: scalings?[expert]))
        }
      }
    }
  }

  /// What llama.cpp multiplies each matrix of a tensor by; nil where nothing stands there.
  private func numbers(of tensor: StoredTensor, _ count: Int) throws(Fault) -> [Scaling]? {
    guard let name = config.scaleName(ofGGUF: tensor.name), let stored = inventory[name] else {
      return nil
    }
    let scalings = stored.numbers?.compactMap { Scaling(number: $0) }
    guard let scalings, scalings.count == count else {
      throw Fault(
        .malformed, "does not hold one number for each matrix",
        file: inventory.shards[stored.shard].file.path, tensor: stored.name,
        expected: "F32 [\(count)]", found: "\(stored.type.rawValue) \(stored.shape)")
    }
    return scalings
  }

  private func oddSize(_ tensor: StoredTensor, _ what: String, _ expected: String) -> Fault {
    Fault(
      .malformed, "has an odd number of \(what)", file: inventory.shards[tensor.shard].file.path,
      tensor: tensor.name, expected: expected, found: "\(tensor.shape)")
  }

  /// Adds a joint matrix once both halves were met; files from before the split have it whole.
  private mutating func join(_ name: ExactText) {
    guard let keys = halves[name]?.keys, let values = halves[name]?.values else { return }
    let (heads, latent) = (config.heads, config.keyValueRank)
    guard let keys = matrices(of: keys, [heads, latent, config.nopeHeadSize], for: name),
      let values = matrices(of: values, [heads, config.valueHeadSize, latent], for: name)
    else { return }
    weights.append(
      SourceWeight(name, .joined(keys: Assembly(keys), values: Assembly(values), heads: heads)))
  }

  /// A half as a matrix of each head, which some files have one below the other; nil, with a fault,
  /// for what is none.
  private mutating func matrices(
    of half: StoredTensor, _ dimensions: [Int], for name: ExactText
  ) -> StoredTensor? {
    let below = [dimensions[0] * dimensions[1], dimensions[2]]
    if half.shape.dimensions == dimensions { return half }
    if half.shape.dimensions == below, let shape = Shape(dimensions),
      let seen = half.seen(as: half.type, shape)
    {
      return seen
    }
    faults[name] = Fault(
      .malformed, "has the wrong shape", file: inventory.shards[half.shard].file.path,
      tensor: half.name, expected: "\(dimensions)", found: "\(half.shape)")
    return nil
  }
}
