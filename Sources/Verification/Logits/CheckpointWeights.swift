public import Codecs
internal import Conversion
public import Formats
public import Models
public import Platform
public import Reference
internal import Tensors

/// The weights of a checkpoint, read from its files when the forward pass asks for them.
public struct CheckpointWeights: Sendable {
  private let inventory: Inventory
  private let config: DeepSeekV3Config
  private let ahead: ReadAhead
  private var fp8: DeepSeekV3Config.FP8Quantization? { config.fp8 }

  /// Types that a weight can be computed with; `.f8E4M3` takes a grid of scales.
  private static let types: Set<ElementType> = [.f32, .bf16, .f16, .f8E4M3]

  /// Checks that every tensor that the forward pass will ask for is there, with its shape, a type
  /// that can be computed with, and its scales: a fault shows before hours of work, not after.
  ///
  /// - Parameter mtp: whether the MTP layers will be asked for. Their copies of embedding and head
  ///   never are.
  /// - Throws: `.malformed` with the first tensor that is missing or wrong.
  public init(
    _ checkpoint: Checkpoint, config: DeepSeekV3Config, mtp: Bool
  ) throws(Fault) {
    inventory = checkpoint.inventory
    self.config = config
    ahead = ReadAhead(inventory)
    for tensor in config.expectedTensors() where CheckpointWeights.isUsed(tensor) {
      if let layer = tensor.layer, layer >= config.layers, !mtp { continue }
      if halves(of: tensor.name) != nil { continue }
      let stored = try find(tensor.name, folder: checkpoint.folder)
      guard stored.shape == tensor.shape else {
        throw Fault(
          .malformed, "has the wrong shape", file: inventory.shards[stored.shard].file.path,
          tensor: tensor.name, expected: "\(tensor.shape)", found: "\(stored.shape)")
      }
      try checkType(stored)
    }
  }

  private static func isUsed(_ tensor: ExpectedTensor) -> Bool {
    tensor.storage != .scale && tensor.part != .embeddingCopy && tensor.part != .headCopy
  }

  private func checkType(_ stored: StoredTensor) throws(Fault) {
    let isMatrix = stored.shape.dimensions.count == 2
    let isKnown = CheckpointWeights.types.contains(stored.type) || stored.type.isBlock
    guard isKnown, isMatrix || stored.type != .f8E4M3 else {
      throw Fault(
        .malformed, "has a type that cannot be computed with", tensor: stored.name,
        expected: isMatrix ? "F32, BF16, F16, F8_E4M3 or blocks" : "F32, BF16 or F16",
        found: stored.type.rawValue)
    }
    guard stored.type == .f8E4M3 else { return }
    let name = ExpectedTensor.scaleName(for: stored.name)
    guard let fp8 else {
      throw Fault(
        .malformed, "is FP8, yet the config has no quantization_config", tensor: stored.name)
    }
    let scales = try find(name, folder: nil)
    guard let grid = fp8.scaleShape(of: stored.shape), scales.shape == grid else {
      throw Fault(
        .malformed, "has the wrong shape", tensor: name,
        expected: fp8.scaleShape(of: stored.shape)?.description, found: "\(scales.shape)")
    }
    guard [.f32, .bf16, .f8E8M0].contains(scales.type) else {
      throw Fault(
        .malformed, "has a type that scales cannot have", tensor: name,
        expected: "F32, BF16 or F8_E8M0", found: scales.type.rawValue)
    }
  }

  /// The halves that a GGUF file has in place of a joint matrix; nil where there is one, or neither.
  private func halves(of name: String) -> JointKeyValues? {
    inventory[name] == nil ? JointKeyValues(of: name, in: inventory, config: config) : nil
  }

  private func find(_ name: String, folder: String?) throws(Fault) -> StoredTensor {
    guard let stored = inventory[name] else {
      throw Fault(.malformed, "is missing from the checkpoint", file: folder, tensor: name)
    }
    return stored
  }

  /// Elements `range` of a tensor in F32; the type is one of plain weights or of scales.
  private func floats(_ stored: StoredTensor, _ range: Range<Int>) throws(Fault) -> [Float] {
    let width = stored.type.bits / 8
    let buffer = ByteBuffer(count: range.count * width)
    try inventory.read(stored, from: range.lowerBound * width, into: buffer.bytes)
    let bytes = UnsafeRawBufferPointer(buffer.bytes)
    return (0..<range.count).map { index in
      switch stored.type {
      case .f32: bytes.load(fromByteOffset: 4 * index, as: Float.self)
      case .f16: Float(bytes.load(fromByteOffset: 2 * index, as: Float16.self))
      case .bf16:
        Float(
          bitPattern: UInt32(bytes.load(fromByteOffset: 2 * index, as: UInt16.self)) << 16)
      // 2^(code − 127); code 0 is the subnormal 2⁻¹²⁷ and 255 is NaN.
      default:
        bytes[index] == 255
          ? .nan
          : Float(bitPattern: bytes[index] == 0 ? 1 << 22 : UInt32(bytes[index]) << 23)
      }
    }
  }

  /// The scales of rows of a matrix.
  private func scales(
    of stored: StoredTensor, rows: Range<Int>
  ) throws(Fault) -> BlockScales? {
    guard stored.type == .f8E4M3, let fp8 else { return nil }
    let grid = try find(ExpectedTensor.scaleName(for: stored.name), folder: nil)
    let width = grid.shape.dimensions[1]
    // Rows that start inside a block get a finer grid, whose blocks divide the stored ones.
    let start = rows.lowerBound % fp8.blockRows
    let blockRows = start == 0 ? fp8.blockRows : greatestCommonDivisor(start, fp8.blockRows)
    let first = rows.lowerBound / fp8.blockRows
    let last = (rows.upperBound + fp8.blockRows - 1) / fp8.blockRows
    let stored = try floats(grid, first * width..<last * width)
    var values: [Float] = []
    for row in stride(from: rows.lowerBound, to: rows.upperBound, by: blockRows) {
      let line = row / fp8.blockRows - first
      values += stored[line * width..<(line + 1) * width]
    }
    return BlockScales(values: values, blockRows: blockRows, blockColumns: fp8.blockColumns)
  }
}

extension CheckpointWeights: WeightSource {
  /// See `WeightSource`.
  public func size(ofMatrix name: String) throws(Fault) -> (rows: Int, columns: Int) {
    if let shape = halves(of: name)?.shape { return (shape.dimensions[0], shape.dimensions[1]) }
    let stored = try find(name, folder: nil)
    guard stored.shape.dimensions.count == 2 else {
      throw Fault(.malformed, "is no matrix", tensor: name, found: "\(stored.shape)")
    }
    return (stored.shape.dimensions[0], stored.shape.dimensions[1])
  }

  /// See `WeightSource`.
  public func matrix(_ name: String, rows: Range<Int>) throws(Fault) -> WeightMatrix {
    let columns = try size(ofMatrix: name).columns
    if let halves = halves(of: name) {
      return WeightMatrix(
        type: .f32, rows: rows.count, columns: columns,
        storage: try halves.assembly(config).values(
          shape: halves.shape, rows: rows, from: inventory))
    }
    let stored = try find(name, folder: nil)
    let buffer = ByteBuffer(count: stored.type.byteOffset(of: rows.count * columns))
    let start = stored.type.byteOffset(of: rows.lowerBound * columns)
    let clock = ContinuousClock()
    let began = clock.now
    try inventory.read(stored, from: start, into: buffer.bytes)
    ahead.haveRead(stored, from: start, count: buffer.count, in: clock.now - began)
    return WeightMatrix(
      type: stored.type, rows: rows.count, columns: columns, storage: buffer,
      scales: try scales(of: stored, rows: rows))
  }

  /// See `WeightSource`.
  public func expect(_ names: [String]) {
    ahead.expect(names.compactMap { inventory[$0] })
  }

  /// See `WeightSource`.
  public func vector(_ name: String) throws(Fault) -> [Float] {
    let stored = try find(name, folder: nil)
    return try floats(stored, 0..<stored.shape.elementCount)
  }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  b == 0 ? a : greatestCommonDivisor(b, a % b)
}
