internal import Codecs
package import Formats
package import Models
package import Platform
internal import Tensors
package import Weights

/// Reads a Hugging Face checkpoint: every tensor is a weight, but for the scales beside FP8 ones and
/// what else is about codes alone.
package struct HuggingFaceWeights {
  /// The stored tensors.
  package let inventory: Inventory
  /// The network that they are of.
  package let config: ModelConfig
  private var weights: [SourceWeight] = []
  private var faults: [ExactText: Fault] = [:]
  private var companions: [StoredTensor] = []
  /// Tensors, by their index, that are called as scales are.
  private var grids: [Int] = []
  /// Tensors, by their index, that scale a weight.
  private var isUsed: [Bool]
  /// The section of the config that all scales fit, looked for where one does not fit the one that
  /// is there.
  private lazy var fittingSection: String? = FP8Scales.fittingSection(
    inventory.tensors.filter { $0.type == .f8E4M3 }.map { ($0.name, $0.shape) },
    in: inventory.table)

  /// The weights of a checkpoint by their names in the network.
  ///
  /// - Throws: `.malformed` where two weights have one name.
  package static func read(
    _ inventory: Inventory, config: ModelConfig, threads: Int
  ) throws(Fault) -> SourceWeights {
    let parts = try Workers.parts(threads: threads, of: inventory.tensors.count, least: 8192) {
      var part = HuggingFaceWeights(inventory: inventory, config: config)
      part.weights.reserveCapacity($0.count / 2)
      for index in $0 { part.add(inventory.tensors[index]) }
      return part
    }
    var reader = parts[0]
    for part in parts.dropFirst() { reader.add(part) }
    reader.findOrphans()
    return try SourceWeights(
      inventory, reader.weights, faults: reader.faults, companions: reader.companions)
  }

  private init(inventory: Inventory, config: ModelConfig) {
    self.inventory = inventory
    self.config = config
    isUsed = [Bool](repeating: false, count: inventory.tensors.count)
  }

  /// Takes what was made of the tensors behind these.
  private mutating func add(_ other: HuggingFaceWeights) {
    weights += other.weights
    faults.merge(other.faults) { $1 }
    companions += other.companions
    grids += other.grids
    for index in other.isUsed.indices where other.isUsed[index] { isUsed[index] = true }
  }

  private mutating func add(_ tensor: StoredTensor) {
    if FP8Scales.isScale(tensor.name) {
      grids.append(tensor.index)
      return
    }
    if let codes = CodeCompanion(tensor, { inventory[$0] }) {
      if codes.isHarmless {
        companions.append(tensor)
      } else {
        faults[config.ownName(of: codes.weight)] = codes.fault(inventory.path(of: tensor))
      }
      return
    }
    let isCode = tensor.type == .f8E4M3 || tensor.type == .f4
    guard isCode, let scales = FP8Scales(of: tensor.name, in: inventory.table) else {
      weights.append(SourceWeight(config.ownName(of: tensor.name), tensor))
      return
    }
    isUsed[scales.tensor.index] = true
    do throws(Fault) {
      weights.append(
        SourceWeight(
          config.ownName(of: tensor.name), tensor, scaling: try scaling(of: tensor, scales)))
    } catch {
      faults[config.ownName(of: tensor.name)] = error
    }
  }

  private mutating func scaling(
    of tensor: StoredTensor, _ scales: FP8Scales
  ) throws(Fault) -> Scaling {
    guard let fp8 = config.fp8 else {
      throw fault(
        tensor, "is FP8 with scales",
        "a quantization_config in config.json"
          + (fittingSection.map { ", which \($0) would be" } ?? ""), "none")
    }
    guard tensor.shape.dimensions.count == 2 else {
      throw fault(tensor, "has scales", "a matrix", "\(tensor.shape)")
    }
    let stored = scales.tensor
    if tensor.type == .f4 {
      let (rows, columns) = (tensor.shape.dimensions[0], tensor.shape.dimensions[1])
      let own = stored.type == .f8E8M0 ? stored : stored.seen(as: .f8E8M0, stored.shape)
      guard let own, let scaling = Scaling(own, scheme: .mxfp4, rows: rows, columns: columns) else {
        throw fault(
          stored, "are no scales of FP4",
          "\(tensor.shape.fp4Scales?.description ?? "whole groups") of F8_E8M0",
          "\(stored.shape) of \(stored.type.rawValue)")
      }
      return scaling
    }
    if let scaling = scales.scaling(of: tensor.shape, fp8.blocks) { return scaling }
    guard FP8Scales.types.contains(stored.type) else {
      let types = FP8Scales.types.map(\.rawValue).joined(separator: ", ")
      throw fault(stored, "has a type that scales cannot have", types, stored.type.rawValue)
    }
    let expected = fp8.scaleShape(of: tensor.shape)?.description
    throw fault(
      stored, "has the wrong shape",
      expected ?? "one scale, or one for each of \(tensor.shape.dimensions[0]) rows",
      "\(stored.shape)" + (fittingSection.map { "; \($0) in config.json would fit" } ?? ""))
  }

  /// Grids beside no FP8 weight; one that lies beside other numbers may or may not have been
  /// multiplied into them.
  private mutating func findOrphans() {
    for index in grids where !isUsed[index] {
      let tensor = inventory.tensors[index]
      let name = FP8Scales.weightName(ofScale: tensor.name) ?? ""
      let type = inventory[name]?.type
      let isCode = type == .f8E4M3 || type == .f4
      faults[config.ownName(of: type == nil ? tensor.name : name)] = fault(
        tensor, isCode ? "stands beside other scales" : "scales no FP8 weight",
        isCode ? "one grid of scales" : "\(name) in F8_E4M3",
        isCode ? "two" : type?.rawValue ?? "nothing")
    }
  }

  private func fault(
    _ tensor: StoredTensor, _ message: String, _ expected: String, _ found: String
  ) -> Fault {
    Fault(
      .malformed, message, file: inventory.path(of: tensor), tensor: tensor.name,
      expected: expected, found: found)
  }
}

extension Inventory {
  /// The path of the file that holds a tensor.
  package func path(of tensor: StoredTensor) -> String { shards[tensor.shard].file.path }
}
