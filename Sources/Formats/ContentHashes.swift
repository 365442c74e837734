package import Platform
package import Tensors

/// What a tensor holds, whatever its name, its file and its place in it.
package struct TensorHash: Sendable, Hashable {
  /// Its name in the checkpoint's own dialect; the hash does not cover it.
  package let name: ExactText
  /// Storage of its elements.
  package let type: ElementType
  /// Its dimensions, outermost first.
  package let shape: Shape
  /// Bytes that it takes.
  package let byteCount: Int
  /// BLAKE3 of the line `TYPE [d0,d1,…]`, its line feed, and BLAKE3 of the stored bytes.
  package let hash: BLAKE3Value

  /// Hashes what a tensor is together with the hash of its bytes.
  package init(_ tensor: StoredTensor, bytes: BLAKE3Value) {
    self.init(
      name: tensor.name, type: tensor.type, shape: tensor.shape, byteCount: tensor.byteCount,
      bytes: bytes)
  }

  /// Hashes what a tensor is together with the hash of its bytes.
  package init(
    name: ExactText, type: ElementType, shape: Shape, byteCount: Int, bytes: BLAKE3Value
  ) {
    self.name = name
    self.type = type
    self.shape = shape
    self.byteCount = byteCount
    let dimensions = shape.dimensions.map(String.init).joined(separator: ",")
    hash = BLAKE3.hash(Array("\(type.rawValue) [\(dimensions)]\n".utf8) + bytes.bytes)
  }

  /// What the hash covers beside the bytes.
  package var kind: String { TensorHash.kind(type.rawValue, shape.dimensions) }

  /// A type and a shape as lists have them.
  package static func kind(_ type: String, _ shape: [Int]) -> String {
    "\(type) [\(shape.map(String.init).joined(separator: ", "))]"
  }

  /// Its line in a list, with its end.
  package var line: String { "\(hash.text)  \(kind)  \(ListedName.shown(name.text))\n" }
}

/// Hashes of everything that a checkpoint's tensors hold (schema `fathom.hash/2`).
///
/// They are the same however the checkpoint is cut into shards, in whatever order, in safetensors
/// or GGUF or packed: a tensor is its type, its shape and its stored bytes. Of a quantized weight
/// the stored tensors are hashed each on its own (codes, scales), not the numbers that they stand for.
package struct ContentHashes: Sendable, Hashable {
  /// A tensor each, in the order of the bytes of their names.
  package let tensors: [TensorHash]
  /// BLAKE3 of one line `HASH NAME` for each tensor, in that order. In a name `\` is doubled and a
  /// control character of ASCII is `\u{…}`, so that no name stands for several lines.
  package let checkpoint: BLAKE3Value

  /// Joins the hashes of tensors with distinct names.
  package init(_ tensors: [TensorHash]) {
    self.tensors = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    checkpoint = ContentHashes.checkpoint(self.tensors, ListedName.hashed)
  }

  /// The checkpoint's hash as lists and manifests of the first version have it, where names stood
  /// as they are. It is another one only where a name holds `\` or a control character.
  package var oldCheckpoint: BLAKE3Value { ContentHashes.checkpoint(tensors) { $0 } }

  private static func checkpoint(
    _ tensors: [TensorHash], _ name: (String) -> String
  ) -> BLAKE3Value {
    let list = tensors.map { "\($0.hash.text) \(name($0.name.text))\n" }.joined()
    return BLAKE3.hash(Array(list.utf8))
  }
}
