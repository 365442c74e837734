package import Formats
package import Platform
internal import Tensors

/// Tensors that several files of a model have, beside the one that is read.
extension SourceWeights {
  /// A tensor that repeats what a weight is made of, as some formats have it in several files; it is
  /// not read.
  package struct Copy: Sendable {
    /// The weight.
    package let weight: ExactText
    /// The tensor.
    package let tensor: StoredTensor
    /// What is read in its place and has to have its bytes; nil where the two are laid out otherwise.
    package let original: StoredTensor?

    /// Names a tensor and what it repeats.
    package init(_ weight: ExactText, _ tensor: StoredTensor, original: StoredTensor? = nil) {
      self.weight = weight
      self.tensor = tensor
      self.original = original
    }
  }

  /// Throws where a copy has other bytes than what is read in its place, so that files of one model
  /// would compute with different weights; files that are deleted already are passed over.
  ///
  /// - Throws: `.malformed` with the copy and both files, `.inputOutput` where reading fails.
  package func requireEqualCopies() throws(Fault) {
    for copy in copies {
      guard let original = copy.original else { continue }
      let (file, other) = (inventory.shards[copy.tensor.shard], inventory.shards[original.shard])
      guard !file.file.isGone, !other.file.isGone else { continue }
      let offset =
        copy.tensor.byteCount == original.byteCount
        ? try Self.firstDifference(
          (other.file, original.offset), (file.file, copy.tensor.offset), original.byteCount) : 0
      guard let offset else { continue }
      // Where several files use a name, that of the file stands before it.
      let stem = file.name.without(suffix: ".safetensors") ?? file.name
      throw Fault(
        .malformed, "is another tensor than in \(other.name)", file: file.file.path,
        tensor: copy.tensor.name.without(prefix: "\(stem)/") ?? copy.tensor.name,
        offset: UInt64(copy.tensor.offset + offset),
        expected: "the same bytes in every file that has it",
        found: "other ones from byte \(offset) of the tensor on")
    }
  }

  /// The first byte in which two places differ; nil where they are equal.
  ///
  /// - Throws: `.inputOutput` where reading fails.
  package static func firstDifference(
    _ a: (file: InputFile, offset: Int), _ b: (file: InputFile, offset: Int), _ count: Int
  ) throws(Fault) -> Int? {
    let window = 4 << 20
    let first = ByteBuffer(count: min(count, window))
    let second = ByteBuffer(count: min(count, window))
    for done in stride(from: 0, to: count, by: window) {
      let size = min(window, count - done)
      let left = UnsafeMutableRawBufferPointer(rebasing: first.bytes[..<size])
      let right = UnsafeMutableRawBufferPointer(rebasing: second.bytes[..<size])
      try a.file.read(at: a.offset + done, into: left)
      try b.file.read(at: b.offset + done, into: right)
      // By words first, since the copies of a large model are many gigabytes.
      let words = 0..<size / 8
      let word = words.first { place in
        left.loadUnaligned(fromByteOffset: 8 * place, as: UInt64.self)
          != right.loadUnaligned(fromByteOffset: 8 * place, as: UInt64.self)
      }
      let rest = 8 * (word ?? words.count)..<size
      if let index = rest.first(where: { left[$0] != right[$0] }) { return done + index }
    }
    return nil
  }
}
