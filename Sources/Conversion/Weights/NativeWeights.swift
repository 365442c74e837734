internal import Formats
internal import Models
internal import Platform
internal import Tensors

/// Reads DeepSeek's model-parallel shards: rows and columns that were dealt out are put together
/// again, of what every shard has the first is taken, and experts come from their owners.
struct NativeWeights {
  /// A tensor of the network and the pieces of it that shards hold.
  private struct Pieces {
    let native: String
    let division: NativeNames.Division
    /// With the numbers of their shards, in the order of these.
    var stored: [(rank: Int, tensor: StoredTensor)] = []

    /// That of the first shard which has one.
    var first: StoredTensor? { stored.first?.tensor }
  }

  private let inventory: Inventory
  /// Shards that the model is divided into.
  private let count: Int
  /// Pieces by Hugging Face's name.
  private var pieces: [String: Pieces] = [:]
  /// Those names, in the order in which they were met.
  private var names: [String] = []
  /// Tensors that the dialect does not name, by their own names.
  private var strangers: [(name: String, tensor: StoredTensor)] = []

  /// Looks through the files.
  ///
  /// - Parameter inventory: all tensors, each under the stem of its file and its own name.
  /// - Throws: `.malformed` where the files are of several divisions.
  init(_ inventory: Inventory) throws(Fault) {
    self.inventory = inventory
    let shards = inventory.shards.map { NativeShardName($0.name) }
    count = shards.first??.count ?? 1
    if let index = shards.firstIndex(where: { $0?.count != count }) {
      throw Fault(
        .malformed, "belongs to another division of the model",
        file: inventory.shards[index].file.path, expected: "one of \(count) shards",
        found: "one of \(shards[index]?.count ?? 0)")
    }
    for tensor in inventory.tensors {
      guard let shard = shards[tensor.shard] else { continue }
      let native = String(tensor.name.dropFirst(shard.stem.utf8.count + 1))
      guard let translation = NativeNames.huggingFace(of: native) else {
        strangers.append((native, tensor))
        continue
      }
      let name = translation.name
      if pieces[name] == nil {
        pieces[name] = Pieces(native: native, division: translation.division)
        names.append(name)
      }
      if let other = pieces[name]?.stored.first(where: { $0.rank == shard.rank }) {
        throw Fault(
          .malformed, "stands twice in the checkpoint",
          file: inventory.shards[tensor.shard].file.path, tensor: native,
          found: "also in \(inventory.shards[other.tensor.shard].name)")
      }
      pieces[name]?.stored.append((shard.rank, tensor))
    }
    // Files are met by their names, where 10 comes before 2.
    for name in names { pieces[name]?.stored.sort { $0.rank < $1.rank } }
  }

  /// All tensors with the types and shapes that they have when they are put together; what does not
  /// fit together has those of its first piece.
  var wholes: [NativeSource.Whole] {
    names.compactMap { name in
      guard let pieces = pieces[name], let first = pieces.first else { return nil }
      let shape = (try? shape(of: pieces)) ?? first.shape
      return NativeSource.Whole(name: name, type: first.type, shape: shape)
    }
  }

  /// The weights, for a config.
  func read(_ config: DeepSeekV3Config) throws(Fault) -> SourceWeights {
    var weights: [SourceWeight] = []
    var faults: [String: Fault] = [:]
    var copies: [(weight: String, tensor: StoredTensor)] = []
    for name in names {
      guard let own = pieces[name] else { continue }
      do throws(Fault) {
        if let weight = try weight(name, own, config) { weights.append(weight) }
      } catch {
        faults[name] = error
      }
      if own.division == .replicated {
        copies += own.stored.dropFirst().map { (name, $0.tensor) }
      }
    }
    var known: Set<String> = []
    for (name, tensor) in strangers {
      if known.insert(name).inserted {
        weights.append(SourceWeight(name, tensor))
      } else {
        copies.append((name, tensor))
      }
    }
    return try SourceWeights(inventory, weights, copies: copies, faults: faults)
  }

  /// - Returns: nil for scales, which are part of another weight.
  private func weight(
    _ name: String, _ own: Pieces, _ config: DeepSeekV3Config
  ) throws(Fault) -> SourceWeight? {
    let shape = try shape(of: own)
    let scales = pieces[ExpectedTensor.scaleName(for: name)]
    if let weight = ExpectedTensor.weightName(ofScale: name) {
      guard pieces[weight]?.first?.type != .f8E4M3 else { return nil }
      throw fault(
        own, "scales no FP8 weight", expected: "a weight in F8_E4M3",
        found: pieces[weight]?.first?.type.rawValue ?? "nothing")
    }
    var parts: [Assembly] = []
    for (rank, piece) in own.stored.prefix(own.division == .replicated ? 1 : own.stored.count) {
      let grid = scales?.stored.first { $0.rank == rank }?.tensor
      parts.append(Assembly(piece, scaling: try scaling(of: piece, grid, own, config)))
    }
    return SourceWeight(
      name, shape, own.division == .columns ? .beside(parts) : .stacked(parts))
  }

  private func scaling(
    of piece: StoredTensor, _ scales: StoredTensor?, _ own: Pieces, _ config: DeepSeekV3Config
  ) throws(Fault) -> Scaling? {
    guard piece.type == .f8E4M3 else { return nil }
    guard let fp8 = config.fp8, let scales, fp8.scaleShape(of: piece.shape) != nil else {
      throw fault(own, "is FP8 without scales in its shard", expected: "scales", found: "nothing")
    }
    let block = BlockSize(rows: fp8.blockRows, columns: fp8.blockColumns)
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

  /// The shape of the whole.
  private func shape(of own: Pieces) throws(Fault) -> Shape {
    guard let first = own.first else { preconditionFailure("pieces are noted as they are met") }
    if own.division == .expert {
      guard own.stored.count == 1 else {
        throw fault(
          own, "is in several shards", expected: "its expert's owner alone",
          found: own.stored.map { String($0.rank) }.joined(separator: ", "))
      }
      return first.shape
    }
    guard own.stored.count == count else {
      let present = Set(own.stored.map(\.rank))
      let absent = (0..<count).filter { !present.contains($0) }.map(String.init)
      throw fault(
        own, "is not in every shard", expected: "\(count) shards",
        found: "nothing in " + absent.joined(separator: ", "))
    }
    for (_, piece) in own.stored where piece.shape != first.shape || piece.type != first.type {
      throw Fault(
        .malformed, "is not what the first shard has",
        file: inventory.shards[piece.shard].file.path, tensor: own.native,
        expected: "\(first.shape) of \(first.type.rawValue)",
        found: "\(piece.shape) of \(piece.type.rawValue)")
    }
    guard own.division != .replicated else { return first.shape }
    var dimensions = first.shape.dimensions
    let side = own.division == .rows ? 0 : 1
    guard dimensions.indices.contains(side), dimensions.count == 2 else {
      throw fault(own, "is no matrix", expected: "two dimensions", found: "\(first.shape)")
    }
    let (size, overflow) = dimensions[side].multipliedReportingOverflow(by: count)
    dimensions[side] = size
    guard !overflow, let shape = Shape(dimensions) else {
      throw fault(own, "becomes too large", expected: nil, found: "\(first.shape) × \(count)")
    }
    return shape
  }

  private func fault(
    _ own: Pieces, _ message: String, expected: String?, found: String
  ) -> Fault {
    Fault(
      .malformed, message, file: own.first.map { inventory.shards[$0.shard].file.path },
      tensor: own.native, expected: expected, found: found)
  }
}
