package import Codecs
internal import Formats
package import Models
package import Platform
internal import Reference
package import Tensors
package import Weights

/// The weights of a model, read from its files when the forward pass asks for them.
package struct CheckpointWeights: Sendable {
  private let weights: SourceWeights
  private let ahead: ReadAhead

  /// Checks that every tensor that the forward pass will ask for is there, with its shape, a type
  /// that can be computed with, and its scales: a fault shows before hours of work, not after.
  ///
  /// - Parameter mtp: whether the MTP layers will be asked for. Their copies of embedding and head
  ///   never are.
  /// - Throws: `.malformed` with the first tensor that is missing or wrong.
  package init(
    _ weights: SourceWeights, config: ModelConfig, mtp: Bool
  ) throws(Fault) {
    self.weights = weights
    ahead = ReadAhead(weights.inventory)
    for tensor in config.expectedTensors() where CheckpointWeights.isUsed(tensor) {
      if let layer = tensor.layer, layer >= config.layers, !mtp { continue }
      if let defect = weights.defect(of: tensor) { throw weights.fault(of: tensor, defect) }
    }
  }

  /// Says whether the weights that are read from now on will be read again before those of another
  /// layer are: a large model's are otherwise taken out of the system's cache at once.
  package func keepCached(_ keeps: Bool) { ahead.keep(keeps) }

  private static func isUsed(_ tensor: ExpectedTensor) -> Bool {
    tensor.storage != .scale && tensor.part != .embeddingCopy && tensor.part != .headCopy
  }
}

extension CheckpointWeights: WeightSource {
  /// See `WeightSource`.
  package func size(ofMatrix name: String) throws(Fault) -> (rows: Int, columns: Int) {
    let shape = try weights.weight(ExactText(name)).shape
    guard shape.dimensions.count == 2 else {
      throw Fault(
        .malformed, "is no matrix", file: file(of: name), tensor: ExactText(name), found: "\(shape)"
      )
    }
    return (shape.dimensions[0], shape.dimensions[1])
  }

  /// See `WeightSource`.
  package func matrix(_ name: String, rows: Range<Int>) throws(Fault) -> WeightMatrix {
    let weight = try weights.weight(ExactText(name))
    let columns = weight.assembly.columns
    // What is in one place stays in the type that it is stored in.
    guard let (stored, scaling, place) = weight.assembly.stored(rows: rows),
      scaling?.isGrid != false
    else {
      return WeightMatrix(
        type: .f32, rows: rows.count, columns: columns,
        storage: try weights.values(weight, rows: rows))
    }
    let buffer = ByteBuffer(count: stored.type.byteOffset(of: rows.count * columns))
    let start = stored.type.byteOffset(of: place.lowerBound * columns)
    let clock = ContinuousClock()
    let began = clock.now
    try weights.inventory.read(stored, from: start, into: buffer.bytes)
    ahead.haveRead(stored, from: start, count: buffer.count, in: clock.now - began)
    return WeightMatrix(
      type: stored.type, rows: rows.count, columns: columns, storage: buffer,
      scales: try scaling.map { scaling throws(Fault) in
        try weights.scales(scaling, rows: place, width: columns)
      })
  }

  /// See `WeightSource`.
  package func file(of name: String) -> String? {
    weights[ExactText(name)].map { weights.path(of: $0.assembly.first.tensor) }
  }

  /// See `WeightSource`.
  package func storedTypes(of name: String) -> [ElementType] {
    weights[ExactText(name)]?.assembly.leaves.map(\.tensor.type) ?? []
  }

  /// See `WeightSource`.
  package func expect(_ names: [String]) {
    ahead.expect(names.flatMap { weights[ExactText($0)]?.assembly.leaves.map(\.tensor) ?? [] })
  }

  /// See `WeightSource`.
  package func vector(_ name: String) throws(Fault) -> [Float] {
    let weight = try weights.weight(ExactText(name))
    let values = try weights.values(weight, rows: 0..<weight.assembly.rows)
    return withExtendedLifetime(values) { Array(values.bytes.bindMemory(to: Float.self)) }
  }
}
