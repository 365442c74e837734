package import Platform

/// What of a file of weights belongs to no tensor: its header, and the padding before, between and
/// behind tensors. With the tensors it is every byte of the file.
///
/// A header says where tensors lie, so that files whose remainders and tensors are the same are the
/// same files.
package enum Remainder {
  /// Walks over the stretches outside of tensors.
  ///
  /// - Parameter tensors: the bytes of each, in any order.
  private static func gaps(outside tensors: [Range<Int>], of size: Int) -> [Range<Int>] {
    var gaps: [Range<Int>] = []
    var position = 0
    for tensor in tensors.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if tensor.lowerBound > position { gaps.append(position..<tensor.lowerBound) }
      position = max(position, tensor.upperBound)
    }
    if position < size { gaps.append(position..<size) }
    return gaps
  }

  /// The hash of what a file that is planned will have.
  package static func hash(of file: OutputLayout.File, in layout: OutputLayout) -> BLAKE3Value {
    let tensors = zip(file.tensors, file.offsets).map { tensor, offset in
      offset..<offset + layout.entries[tensor].byteCount
    }
    let gaps = gaps(outside: tensors, of: file.byteCount)
    var stream = BLAKE3Stream(byteCount: gaps.reduce(0) { $0 + $1.count })
    file.header.withUnsafeBytes { stream.append($0) }
    // Padding is zeros.
    let zeros = [UInt8](repeating: 0, count: 4096)
    while !stream.isComplete {
      zeros.withUnsafeBytes {
        stream.append(
          UnsafeRawBufferPointer(
            rebasing: $0[..<min(zeros.count, stream.byteCount - stream.position)]))
      }
    }
    return stream.value()
  }

  /// The hash of what a file has.
  ///
  /// - Throws: `.inputOutput` where reading fails, `.interrupted`.
  package static func hash(ofShard shard: Int, in inventory: Inventory) throws(Fault) -> BLAKE3Value
  {
    let file = inventory.shards[shard].file
    let tensors = inventory.tensors.filter { $0.shard == shard }
    let gaps = gaps(
      outside: tensors.map { $0.offset..<$0.offset + $0.byteCount }, of: file.size)
    var stream = BLAKE3Stream(byteCount: gaps.reduce(0) { $0 + $1.count })
    for gap in gaps {
      for start in stride(from: gap.lowerBound, to: gap.upperBound, by: 1 << 20) {
        try Interruption.check()
        let piece = try file.read(at: start, count: min(1 << 20, gap.upperBound - start))
        piece.withUnsafeBytes { stream.append($0) }
      }
    }
    return stream.value()
  }
}
