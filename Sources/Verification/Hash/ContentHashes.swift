public import Formats
public import Platform
public import Tensors

/// What a tensor holds, whatever its name, its file and its place in it.
public struct TensorHash: Sendable, Hashable {
  /// Its name in the checkpoint's own dialect; the hash does not cover it.
  public let name: String
  /// Storage of its elements.
  public let type: ElementType
  /// Its dimensions, outermost first.
  public let shape: Shape
  /// Bytes that it takes.
  public let byteCount: Int
  /// BLAKE3 of the line `TYPE [d0,d1,…]`, its line feed, and BLAKE3 of the stored bytes.
  public let hash: BLAKE3Value

  /// Hashes what a tensor is together with the hash of its bytes.
  public init(_ tensor: StoredTensor, bytes: BLAKE3Value) {
    name = tensor.name
    type = tensor.type
    shape = tensor.shape
    byteCount = tensor.byteCount
    let dimensions = tensor.shape.dimensions.map(String.init).joined(separator: ",")
    hash = BLAKE3.hash(Array("\(tensor.type.rawValue) [\(dimensions)]\n".utf8) + bytes.bytes)
  }
}

/// Hashes of everything that a checkpoint's tensors hold (schema `fathom.hash/1`).
///
/// They are the same however the checkpoint is cut into shards, in whatever order, in safetensors
/// or GGUF or packed: a tensor is its type, its shape and its stored bytes. Of a quantized weight
/// the stored tensors are hashed each on its own (codes, scales), not the numbers that they stand for.
public struct ContentHashes: Sendable, Hashable {
  /// A tensor each, in the order of the bytes of their names.
  public let tensors: [TensorHash]
  /// BLAKE3 of one line `HASH NAME` for each tensor, in that order.
  public let checkpoint: BLAKE3Value

  /// Joins the hashes of tensors with distinct names.
  public init(_ tensors: [TensorHash]) {
    self.tensors = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    let list = self.tensors.map { "\($0.hash.text) \($0.name)\n" }.joined()
    checkpoint = BLAKE3.hash(Array(list.utf8))
  }

  /// Reads every tensor of a checkpoint once.
  ///
  /// - Parameter progress: called with the bytes that are done, and all of them.
  /// - Throws: `.inputOutput` where reading fails, `.interrupted`.
  public init(
    _ inventory: Inventory, threads: Int, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    let queue = PieceQueue(inventory.tensors)
    let scratch = (0..<threads).map { _ in ByteBuffer(count: BLAKE3.pieceBytes) }
    let total = inventory.tensors.reduce(0) { $0 + $1.byteCount }
    var tensors: [TensorHash] = []
    tensors.reserveCapacity(inventory.tensors.count)
    var values: [UInt8] = []
    var done = 0
    try OrderedPipeline.run(
      threads: threads, count: queue.count, slots: 8 * threads, slotBytes: BLAKE3Value.byteCount,
      produce: { worker, item, slot throws(Fault) in
        try Interruption.check()
        let piece = queue[item]
        let tensor = inventory.tensors[piece.tensor]
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
        let tensor = inventory.tensors[piece.tensor]
        values += bytes
        done += piece.range.count
        if piece.range.upperBound == tensor.byteCount {
          tensors.append(
            TensorHash(tensor, bytes: values.withUnsafeMutableBytes { BLAKE3.join($0) }))
          values.removeAll(keepingCapacity: true)
        }
        progress(done, total)
      })
    self.init(tensors)
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
