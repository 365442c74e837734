package import Platform
internal import Tensors

extension ContentHashes {
  /// Reads every tensor of a checkpoint once.
  ///
  /// - Parameter progress: called with the bytes that are done, and all of them.
  /// - Throws: `.inputOutput` where reading fails, `.interrupted`.
  package init(
    _ inventory: Inventory, threads: Int, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    var tensors: [TensorHash] = []
    tensors.reserveCapacity(inventory.tensors.count)
    try ContentHashes.forEach(
      inventory.tensors, of: inventory, threads: threads, progress: progress
    ) { tensors.append(TensorHash(inventory.tensors[tensors.count], bytes: $0)) }
    self.init(tensors)
  }

  /// Reads some tensors of a checkpoint once, and gives out the hash of each one's bytes, in order.
  ///
  /// - Throws: `.inputOutput` where reading fails, `.interrupted`.
  package static func forEach(
    _ tensors: [StoredTensor], of inventory: Inventory, threads: Int,
    progress: (_ done: Int, _ total: Int) -> Void, take: (BLAKE3Value) -> Void
  ) throws(Fault) {
    let queue = PieceQueue(tensors)
    inventory.fetchAhead(tensors)
    let scratch = (0..<threads).map { _ in ByteBuffer(count: BLAKE3.pieceBytes) }
    let total = tensors.reduce(0) { $0 + $1.byteCount }
    var values: [UInt8] = []
    var done = 0
    try OrderedPipeline.run(
      threads: threads, count: queue.count, slots: 8 * threads, slotBytes: BLAKE3Value.byteCount,
      produce: { worker, item, slot throws(Fault) in
        try Interruption.check()
        let piece = queue[item]
        let tensor = tensors[piece.tensor]
        let bytes = UnsafeMutableRawBufferPointer(
          rebasing: scratch[worker].bytes[..<piece.range.count])
        try inventory.read(tensor, from: piece.range.lowerBound, into: bytes)
        BLAKE3.hash(
          part: UnsafeRawBufferPointer(bytes), from: piece.range.lowerBound,
          isWhole: piece.range.count == tensor.byteCount, into: slot)
        return slot.count
      },
      consume: { item, bytes throws(Fault) in
        let piece = queue[item]
        values += bytes
        done += piece.range.count
        if piece.range.upperBound == tensors[piece.tensor].byteCount {
          take(values.withUnsafeMutableBytes { BLAKE3.join($0) })
          values.removeAll(keepingCapacity: true)
        }
        progress(done, total)
      })
  }
}

extension Inventory {
  /// Throws `.malformed` where a tensor's name holds a control character: such a name could pass for
  /// several lines of a list.
  package func requireListable() throws(Fault) {
    guard let tensor = tensors.first(where: { ListedName.hasControl($0.name.text) }) else { return }
    throw Fault(
      .malformed, "has a control character in its name, which no list of hashes takes",
      file: shards[tensor.shard].file.path, tensor: tensor.name)
  }
}

/// The pieces of many tensors, one tensor after the other.
private struct PieceQueue: Sendable {
  private let tensors: [StoredTensor]
  /// The number of each tensor's first piece, and of all pieces at the end.
  private let starts: [Int]

  init(_ tensors: [StoredTensor]) {
    self.tensors = tensors
    var starts = [0]
    for tensor in tensors { starts.append(starts.last! + BLAKE3.pieces(of: tensor.byteCount)) }
    self.starts = starts
  }

  var count: Int { starts[tensors.count] }

  subscript(item: Int) -> (tensor: Int, range: Range<Int>) {
    var (low, high) = (0, tensors.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= item { low = middle } else { high = middle }
    }
    let start = (item - starts[low]) * BLAKE3.pieceBytes
    return (low, start..<min(start + BLAKE3.pieceBytes, tensors[low].byteCount))
  }
}
