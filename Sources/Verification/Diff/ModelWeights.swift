internal import Codecs
internal import Conversion
internal import Formats
internal import Models
internal import Platform
internal import Tensors

/// A checkpoint's weights by their Hugging Face names, to be read as F32 in whatever format they
/// are: scales multiplied in, blocks decoded, halves joined.
struct ModelWeights: Sendable {
  /// A weight.
  struct Weight: Sendable {
    let name: String
    let shape: Shape
    /// How the first part is stored.
    let type: ElementType
    let assembly: Assembly

    var block: BlockSize? { assembly.parts.first?.block }
    /// Without scales.
    var byteCount: Int { assembly.parts.reduce(0) { $0 + $1.tensor.byteCount } }
  }

  let inventory: Inventory
  /// In the order of bytes.
  let names: [String]
  private let weights: [String: Weight]

  subscript(name: String) -> Weight? { weights[name] }

  /// - Throws: `.malformed` for FP8 whose scales or their block size are absent.
  init(_ model: SourceModel, _ keep: (String) -> Bool) throws(Fault) {
    inventory = model.checkpoint.inventory
    var weights: [String: Weight] = [:]
    var names: [String] = []
    for tensor in inventory.tensors {
      guard let weight = try ModelWeights.weight(tensor, model), keep(weight.name),
        weights.updateValue(weight, forKey: weight.name) == nil
      else { continue }
      names.append(weight.name)
    }
    self.weights = weights
    self.names = names
  }

  /// The weight that a stored tensor is, or belongs to; nil for scales, which are part of another.
  private static func weight(
    _ tensor: StoredTensor, _ model: SourceModel
  ) throws(Fault) -> Weight? {
    let inventory = model.checkpoint.inventory
    if let name = ExpectedTensor.weightName(ofScale: tensor.name),
      inventory[name]?.type == .f8E4M3
    {
      return nil
    }
    if let name = HalfNames.joint(of: tensor.name), inventory[name] == nil,
      let halves = JointKeyValues(of: name, in: inventory, config: model.config)
    {
      return Weight(
        name: name, shape: halves.shape, type: halves.keys.type,
        assembly: halves.assembly(model.config))
    }
    guard Codec.codec(for: tensor.type) != nil else {
      throw Fault(
        .malformed, "has a type without an order of numbers",
        file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
        found: tensor.type.rawValue)
    }
    var part = Assembly.Part(tensor)
    if tensor.type == .f8E4M3 {
      guard let scales = inventory[ExpectedTensor.scaleName(for: tensor.name)],
        let fp8 = model.config.fp8
      else {
        throw Fault(
          .malformed, "is FP8 without scales", file: inventory.shards[tensor.shard].file.path,
          tensor: tensor.name)
      }
      guard let grid = fp8.scaleShape(of: tensor.shape), scales.shape == grid,
        Codec.codec(for: scales.type) != nil
      else {
        throw Fault(
          .malformed, "has the wrong shape or type",
          file: inventory.shards[scales.shard].file.path, tensor: scales.name,
          expected: fp8.scaleShape(of: tensor.shape)?.description ?? "scales of a matrix",
          found: "\(scales.shape) of \(scales.type.rawValue)")
      }
      part = Assembly.Part(
        tensor, scales: scales, block: BlockSize(rows: fp8.blockRows, columns: fp8.blockColumns))
    }
    return Weight(
      name: tensor.name, shape: tensor.shape, type: tensor.type,
      assembly: Assembly(parts: [part], rows: .stacked))
  }

  /// Rows of a weight seen as a matrix, in F32: (rows.count, columns).
  func values(_ weight: Weight, rows: Range<Int>) throws(Fault) -> ByteBuffer {
    try weight.assembly.values(shape: weight.shape, rows: rows, from: inventory)
  }
}
