public import Platform
public import Tensors

/// What a tensor holds, whatever its name, its file and its place in it.
public struct TensorHash: Sendable, Hashable {
  /// Its name in the checkpoint's own dialect; the hash does not cover it.
  public let name: ExactText
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
    self.init(
      name: tensor.name, type: tensor.type, shape: tensor.shape, byteCount: tensor.byteCount,
      bytes: bytes)
  }

  /// Hashes what a tensor is together with the hash of its bytes.
  public init(
    name: ExactText, type: ElementType, shape: Shape, byteCount: Int, bytes: BLAKE3Value
  ) {
    self.name = name
    self.type = type
    self.shape = shape
    self.byteCount = byteCount
    let dimensions = shape.dimensions.map(String.init).joined(separator: ",")
    hash = BLAKE3.hash(Array("\(type.rawValue) [\(dimensions)]\n".utf8) + bytes.bytes)
  }

  /// Its line in a list, with its end.
  public var line: OutputText {
    "\(hash.text)  \(type.rawValue) \(shape.description)  \(name)\n"
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
}
