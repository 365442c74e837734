internal import Codecs
package import Formats
package import Models
internal import Naming
package import Platform
internal import Tensors
package import Weights

/// Reads an MLX model: experts are slices of `switch_mlp` stacks, `kv_b_proj` is joined of
/// `embed_q` and `unembed_out`, and packed words are codes with the scales beside them.
package struct MLXWeights {
  private let inventory: Inventory
  private let config: ModelConfig
  private let quantization: MLXQuantization?
  /// Columns of the matrices, which tell what a packed one is that no setting names.
  private let columns: [ExactText: Int]
  private var weights: [SourceWeight] = []
  private var faults: [ExactText: Fault] = [:]
  private var companions: [StoredTensor] = []
  private var halves: [ExactText: (keys: Assembly?, values: Assembly?)] = [:]

  /// The weights of a checkpoint by their names in the network.
  ///
  /// - Throws: `.malformed` where the config's settings are none, or two weights have one name.
  package static func read(
    _ checkpoint: Checkpoint, config: ModelConfig
  ) throws(Fault) -> SourceWeights {
    var reader = MLXWeights(
      checkpoint.inventory, config,
      try MLXQuantization(
        config: checkpoint.config, file: Folder.join(checkpoint.folder, "config.json")))
    for tensor in checkpoint.inventory.tensors { reader.add(tensor) }
    return try SourceWeights(
      checkpoint.inventory, reader.weights, faults: reader.faults, companions: reader.companions)
  }

  private init(
    _ inventory: Inventory, _ config: ModelConfig, _ quantization: MLXQuantization?
  ) {
    self.inventory = inventory
    self.config = config
    self.quantization = quantization
    var columns: [ExactText: Int] = [:]
    for layout in MLXNames.Layout.allCases {
      for tensor in config.mlxTensors(layout) {
        columns[tensor.name] = tensor.shape.dimensions.last
      }
    }
    self.columns = columns
  }

  private mutating func add(_ tensor: StoredTensor) {
    let (weight, component) = MLXNames.component(of: tensor.name)
    let (name, form) = MLXNames.origin(of: config.ownName(of: weight))
    guard component == .weight else {
      if inventory[weight] == nil {
        faults[tensor.name] = fault(tensor, "belongs to no weight", weight.text, "nothing")
      }
      return
    }
    if let codes = CodeCompanion(tensor, { inventory[$0] }) {
      if codes.isHarmless {
        companions.append(tensor)
      } else {
        let (name, form) = MLXNames.origin(of: config.ownName(of: codes.weight))
        add(codes.fault(inventory.path(of: tensor)), name, form)
      }
      return
    }
    do throws(Fault) {
      let stack = try Stack(tensor, of: self)
      switch form {
      case .whole, .beside: weights.append(SourceWeight(name, stack.shape, stack.joined))
      case .experts, .expertPairs: try addExperts(tensor, stack, name)
      case .keyHeads, .valueHeads: try addHalf(tensor, stack, name, form)
      }
    } catch {
      add(error, name, form)
    }
  }

  /// What is wrong with a stored tensor is wrong with all weights in it.
  private mutating func add(_ fault: Fault, _ name: ExactText, _ form: WeightForm) {
    let names =
      form == .experts
      ? (0..<config.routedExperts).map { ExpectedTensor.name(name, expert: $0) } : [name]
    for name in names { faults[name] = fault }
  }

  private mutating func addExperts(
    _ tensor: StoredTensor, _ stack: Stack, _ name: ExactText
  ) throws(Fault) {
    guard stack.matrices.count == config.routedExperts,
      let shape = Shape(Array(stack.shape.dimensions.dropFirst()))
    else {
      throw fault(
        tensor, "does not hold as many matrices as there are experts", "\(config.routedExperts)",
        "\(stack.shape)")
    }
    for (expert, matrix) in stack.matrices.enumerated() {
      weights.append(
        SourceWeight(ExpectedTensor.name(name, expert: expert), shape, matrix))
    }
  }

  /// Adds a joint matrix once both halves were met.
  private mutating func addHalf(
    _ tensor: StoredTensor, _ stack: Stack, _ name: ExactText, _ form: WeightForm
  ) throws(Fault) {
    let (heads, latent) = (config.heads, config.keyValueRank)
    let expected =
      form == .keyHeads
      ? [heads, latent, config.nopeHeadSize] : [heads, config.valueHeadSize, latent]
    guard stack.shape.dimensions == expected else {
      throw fault(tensor, "has the wrong shape", "\(expected)", "\(stack.shape)")
    }
    if form == .keyHeads {
      halves[name, default: (nil, nil)].keys = stack.joined
    } else {
      halves[name, default: (nil, nil)].values = stack.joined
    }
    guard let keys = halves[name]?.keys, let values = halves[name]?.values else { return }
    weights.append(SourceWeight(name, .joined(keys: keys, values: values, heads: heads)))
  }

  private func fault(
    _ tensor: StoredTensor, _ message: String, _ expected: String, _ found: String
  ) -> Fault {
    Fault(
      .malformed, message, file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
      expected: expected, found: found)
  }
}

extension MLXWeights {
  /// A stored tensor as matrices, packed words seen as codes.
  fileprivate struct Stack {
    /// Dimensions of what is stored.
    let shape: Shape
    /// One where it is no stack.
    let matrices: [Assembly]
    /// The same below one another.
    var joined: Assembly { .stacked(matrices) }

    init(_ tensor: StoredTensor, of model: MLXWeights) throws(Fault) {
      let module = MLXNames.module(of: tensor.name)
      guard let scales = model.inventory[module + ".scales"], tensor.name.hasSuffix(".weight")
      else {
        shape = tensor.shape
        let slices = shape.dimensions.count == 3 ? tensor.slices(shape.dimensions[0]) : nil
        matrices = (slices ?? [tensor]).map { Assembly($0) }
        return
      }
      let biases = model.inventory[module + ".biases"]
      if let global = model.inventory[module + ".global_scale"] {
        throw model.fault(global, "is not read", "no scale of a whole expert", "\(global.shape)")
      }
      let scheme = try model.scheme(of: tensor, scales: scales)
      let lines = tensor.shape.dimensions.dropLast()
      let words = tensor.shape.dimensions.last ?? 0
      guard tensor.type == .u32, lines.count == 1 || lines.count == 2,
        words * 32 % scheme.code.bits == 0,
        let shape = Shape(lines + [words * 32 / scheme.code.bits])
      else {
        throw model.fault(
          tensor, "has the wrong type", "U32 words of \(scheme) codes",
          "\(tensor.shape) of \(tensor.type.rawValue)")
      }
      self.shape = shape
      guard
        let matrices = Stack.matrices(
          tensor, scales: scales, biases: biases, scheme, shape)
      else {
        throw model.fault(
          scales, "does not fit its weight",
          "\(scheme) of \(shape)"
            + (scheme.offsets == .biases ? " with biases of the same type" : ""),
          "\(scales.shape) of \(scales.type.rawValue)"
            + (biases.map { ", biases \($0.shape) of \($0.type.rawValue)" } ?? ""))
      }
      self.matrices = matrices
    }

    /// Each matrix with its own grids; nil where these do not fit.
    private static func matrices(
      _ tensor: StoredTensor, scales: StoredTensor, biases: StoredTensor?, _ scheme: GroupScheme,
      _ shape: Shape
    ) -> [Assembly]? {
      let isStack = shape.dimensions.count == 3
      let count = isStack ? shape.dimensions[0] : 1
      // Powers of two and E4M3 scales are stored as bytes.
      let scaleType =
        scheme.offsets == .biases ? scales.type : scheme.scaleType(of: .bf16)
      guard let codes = tensor.seen(as: scheme.code, shape),
        scheme.offsets == .biases || scales.type == .u8,
        let grid = scales.seen(as: scaleType, scales.shape)
      else { return nil }
      func parts(_ tensor: StoredTensor) -> [StoredTensor]? {
        isStack ? tensor.slices(count) : [tensor]
      }
      guard let codes = parts(codes), let grids = parts(grid), codes.count == grids.count,
        grids[0].shape.dimensions.count == 2
      else { return nil }
      let offsets = biases.map { parts($0) ?? [] }
      guard offsets == nil || offsets?.count == count else { return nil }
      var result: [Assembly] = []
      for index in codes.indices {
        let dimensions = codes[index].shape.dimensions
        guard
          let scaling = Scaling(
            grids[index], offsets: offsets?[index], scheme: scheme, rows: dimensions[0],
            columns: dimensions[1])
        else { return nil }
        result.append(Assembly(codes[index], scaling: scaling))
      }
      return result
    }
  }

  /// How a packed weight's words are to be read: as a setting names it, or its sizes tell.
  private func scheme(
    of tensor: StoredTensor, scales: StoredTensor
  ) throws(Fault) -> GroupScheme {
    var setting: MLXSetting?
    if let named = quantization?.modules[MLXNames.module(of: tensor.name).text] {
      setting = named
    } else if let columns = columns[tensor.name] {
      setting = MLXSetting(
        words: tensor.shape.dimensions.last ?? 0, groups: scales.shape.dimensions.last ?? 0,
        columns: columns, isAffine: scales.type != .u8)
    } else {
      setting = quantization?.general
    }
    guard let setting, let scheme = GroupScheme(setting) else {
      throw fault(
        tensor, "is packed in a way that MLX does not know",
        "bits and groups of mlx.core.quantize",
        setting.map { "\($0.bits) bits, groups of \($0.groupSize), \($0.mode.rawValue)" }
          ?? "\(tensor.shape) with scales \(scales.shape)")
    }
    return scheme
  }
}
