internal import Codecs
package import Formats
package import Models
internal import Naming
package import Platform
internal import Tensors
package import Weights

/// Reads DeepSeek's model-parallel shards: rows and columns that were dealt out are put together
/// again, of what every shard has the first is taken, and experts come from their owners.
package struct NativeWeights {
  private let inventory: Inventory
  private let config: ModelConfig
  private let pieces: NativePieces

  /// The weights.
  ///
  /// - Throws: `.malformed` where a shard has something twice.
  package static func read(
    _ inventory: Inventory, _ pieces: NativePieces, config: ModelConfig
  ) throws(Fault) -> SourceWeights {
    if let (native, tensor, other) = pieces.duplicates.first {
      throw Fault(
        .malformed, "stands twice in the checkpoint",
        file: inventory.shards[tensor.shard].file.path, tensor: native,
        found: "also in \(inventory.shards[other.shard].name)")
    }
    let reader = NativeWeights(inventory: inventory, config: config, pieces: pieces)
    var weights: [SourceWeight] = []
    var faults: [ExactText: Fault] = [:]
    var copies: [SourceWeights.Copy] = []
    for tensor in pieces.tensors {
      do throws(Fault) {
        if let weight = try reader.weight(tensor) { weights.append(weight) }
      } catch {
        faults[tensor.name] = error
      }
      if tensor.division == .replicated {
        copies += tensor.pieces.dropFirst().map {
          SourceWeights.Copy(tensor.name, $0.tensor, original: tensor.first)
        }
      }
    }
    var known: [ExactText: StoredTensor] = [:]
    for (name, _, tensor) in pieces.strangers {
      if let original = known[name] {
        copies.append(SourceWeights.Copy(name, tensor, original: original))
      } else {
        known[name] = tensor
        weights.append(SourceWeight(name, tensor))
      }
    }
    return try SourceWeights(inventory, weights, faults: faults, copies: copies)
  }

  /// - Returns: nil for scales, which are part of another weight.
  private func weight(_ tensor: NativePieces.Tensor) throws(Fault) -> SourceWeight? {
    try requireWhole(tensor)
    if let name = ExpectedTensor.weightName(ofScale: tensor.name) {
      let type = pieces[name]?.first.type
      guard type != .f8E4M3, type != .f4 else { return nil }
      throw fault(
        tensor, "scales no FP8 weight", expected: "a weight in F8_E4M3 or F4",
        found: type?.rawValue ?? "nothing")
    }
    let scales = pieces[ExpectedTensor.scaleName(for: tensor.name)]
    var parts: [Assembly] = []
    for (rank, piece) in tensor.pieces.prefix(tensor.division == .replicated ? 1 : .max) {
      let grid = scales?.pieces.first { $0.rank == rank }?.tensor
      parts.append(Assembly(piece, scaling: try scaling(of: piece, grid, tensor)))
    }
    // A vector is a row.
    let areBeside = tensor.division == .columns || tensor.first.shape.dimensions.count == 1
    return SourceWeight(
      tensor.name, pieces.shape(of: tensor), areBeside ? .beside(parts) : .stacked(parts))
  }

  private func scaling(
    of piece: StoredTensor, _ scales: StoredTensor?, _ tensor: NativePieces.Tensor
  ) throws(Fault) -> Scaling? {
    if piece.type == .f4 { return try groups(of: piece, scales, tensor) }
    guard piece.type == .f8E4M3 else { return nil }
    guard let fp8 = config.fp8, let blocks = fp8.blocks, let scales,
      fp8.scaleShape(of: piece.shape) != nil
    else {
      throw fault(
        tensor, "is FP8 without scales in its shard", expected: "scales", found: "nothing")
    }
    let block = BlockSize(blocks)
    guard
      let scaling = Scaling(
        scales, block: block, rows: piece.shape.dimensions[0], columns: piece.shape.dimensions[1])
    else {
      throw Fault(
        .malformed, "are no scales of blocks of \(block.rows) × \(block.columns)",
        file: inventory.shards[scales.shard].file.path, tensor: scales.name,
        expected: fp8.scaleShape(of: piece.shape)?.description,
        found: "\(scales.shape) of \(scales.type.rawValue)")
    }
    return scaling
  }

  /// What scales an expert in FP4.
  private func groups(
    of piece: StoredTensor, _ scales: StoredTensor?, _ tensor: NativePieces.Tensor
  ) throws(Fault) -> Scaling {
    guard let scales, let grid = piece.shape.fp4Scales else {
      throw fault(
        tensor, "is FP4 without scales in its shard", expected: "scales of whole groups",
        found: scales == nil ? "nothing" : "rows of \(piece.shape)")
    }
    let (rows, columns) = (piece.shape.dimensions[0], piece.shape.dimensions[1])
    guard let scaling = Scaling(scales, scheme: .mxfp4, rows: rows, columns: columns) else {
      throw Fault(
        .malformed, "are no scales of FP4", file: inventory.path(of: scales), tensor: scales.name,
        expected: "\(grid) of F8_E8M0", found: "\(scales.shape) of \(scales.type.rawValue)")
    }
    return scaling
  }

  /// Throws where pieces are absent, or are not alike.
  private func requireWhole(_ tensor: NativePieces.Tensor) throws(Fault) {
    let first = tensor.first
    if tensor.division == .expert {
      guard tensor.pieces.count > 1 else { return }
      throw fault(
        tensor, "is in several shards", expected: "its expert's owner alone",
        found: tensor.pieces.map { String($0.rank) }.joined(separator: ", "))
    }
    guard tensor.pieces.count == pieces.count else {
      let present = Set(tensor.pieces.map(\.rank))
      let absent = (0..<pieces.count).filter { !present.contains($0) }.map(String.init)
      throw fault(
        tensor, "is not in every shard", expected: "\(pieces.count) shards",
        found: "nothing in " + absent.joined(separator: ", "))
    }
    for (_, piece) in tensor.pieces where piece.shape != first.shape || piece.type != first.type {
      throw Fault(
        .malformed, "is not what the first shard has",
        file: inventory.shards[piece.shard].file.path, tensor: tensor.native,
        expected: "\(first.shape) of \(first.type.rawValue)",
        found: "\(piece.shape) of \(piece.type.rawValue)")
    }
    let isDivided = tensor.division == .rows || tensor.division == .columns
    guard isDivided, pieces.count > 1 else { return }
    let dimensions = first.shape.dimensions.count
    guard dimensions == 2 || dimensions == 1 && tensor.division == .rows else {
      throw fault(tensor, "is no matrix", expected: "two dimensions", found: "\(first.shape)")
    }
    guard pieces.shape(of: tensor) != first.shape || first.shape.elementCount == 0 else {
      throw fault(
        tensor, "becomes too large", expected: nil, found: "\(first.shape) × \(pieces.count)")
    }
  }

  private func fault(
    _ tensor: NativePieces.Tensor, _ message: String, expected: String?, found: String
  ) -> Fault {
    Fault(
      .malformed, message, file: inventory.shards[tensor.first.shard].file.path,
      tensor: tensor.native, expected: expected, found: found)
  }
}
