internal import Platform

/// What a share knows of the hash of a tensor that it writes a stretch of: the chaining values of
/// the largest subtrees of BLAKE3's tree that lie in it, from which those of all shares make the hash.
struct HashedStretch: Sendable, Hashable {
  /// Index in the plan.
  let tensor: Int
  /// Which parts of the tensor it is of, of `BLAKE3Stream.partBytes` each.
  let parts: Range<Int>
  /// The values of the subtrees, from left to right.
  let values: [BLAKE3Value]

  /// Folds the values of parts.
  ///
  /// - Parameter bytes: the value of each, one behind the other.
  init(tensor: Int, from first: Int, values bytes: [UInt8]) {
    self.tensor = tensor
    parts = first..<first + bytes.count / BLAKE3Value.byteCount
    var values: [BLAKE3Value] = []
    var bytes = bytes
    for tree in HashedStretch.subtrees(of: parts) {
      let (start, end) = (tree.lowerBound - first, tree.upperBound - first)
      values.append(
        bytes.withUnsafeMutableBytes {
          BLAKE3.join(
            UnsafeMutableRawBufferPointer(
              rebasing: $0[start * BLAKE3Value.byteCount..<end * BLAKE3Value.byteCount]),
            isRoot: false)
        })
    }
    self.values = values
  }

  /// The largest subtrees within some parts: each has a power of two of them and begins at a multiple
  /// of that.
  private static func subtrees(of parts: Range<Int>) -> [Range<Int>] {
    var trees: [Range<Int>] = []
    var start = parts.lowerBound
    while start < parts.upperBound {
      var size = 1
      while start % (2 * size) == 0, start + 2 * size <= parts.upperBound { size *= 2 }
      trees.append(start..<start + size)
      start += size
    }
    return trees
  }

  /// The hash of a tensor of so many bytes from its stretches; nil where they are not all of it, each
  /// once.
  static func hash(_ stretches: [HashedStretch], byteCount: Int) -> BLAKE3Value? {
    let all = (byteCount + BLAKE3Stream.partBytes - 1) / BLAKE3Stream.partBytes
    var nodes: [(size: Int, value: BLAKE3Value)] = []
    func join(isRoot: Bool) {
      let (left, right) = (nodes[nodes.count - 2], nodes[nodes.count - 1])
      var pair = left.value.bytes + right.value.bytes
      let value = pair.withUnsafeMutableBytes { BLAKE3.join($0, isRoot: isRoot) }
      nodes.removeLast(2)
      nodes.append((left.size + right.size, value))
    }
    var end = 0
    for stretch in stretches.sorted(by: { $0.parts.lowerBound < $1.parts.lowerBound }) {
      let trees = subtrees(of: stretch.parts)
      guard stretch.parts.lowerBound == end, trees.count == stretch.values.count else { return nil }
      end = stretch.parts.upperBound
      for (tree, value) in zip(trees, stretch.values) {
        // Pairs are joined when something follows: what is joined last is the root.
        while nodes.count > 1, nodes[nodes.count - 2].size == nodes[nodes.count - 1].size {
          join(isRoot: false)
        }
        nodes.append((tree.count, value))
      }
    }
    guard end == all, nodes.count > 1 else { return nil }
    while nodes.count > 1 { join(isRoot: nodes.count == 2) }
    return nodes[0].value
  }

  /// Its line in a journal.
  var line: String {
    let text = values.map(\.text).joined()
    return """
      {"stretch":{"tensor":\(tensor),"from":\(parts.lowerBound),"to":\(parts.upperBound),\
      "values":"\(text)"}}
      """
  }

  /// Reads such a line; nil where it is none, or makes no sense.
  init?(_ value: JSONValue) {
    guard case .integer(let tensor) = value["tensor"], case .integer(let first) = value["from"],
      case .integer(let end) = value["to"], case .string(let text) = value["values"],
      tensor >= 0, first >= 0, end > first, end <= 1 << 40
    else { return nil }
    let digits = 2 * BLAKE3Value.byteCount
    let bytes = Array(text.utf8)
    guard bytes.count % digits == 0 else { return nil }
    var values: [BLAKE3Value] = []
    for start in stride(from: 0, to: bytes.count, by: digits) {
      let word = String(decoding: bytes[start..<start + digits], as: UTF8.self)
      guard let value = BLAKE3Value(text: word) else { return nil }
      values.append(value)
    }
    guard values.count == HashedStretch.subtrees(of: first..<end).count else { return nil }
    self.tensor = tensor
    parts = first..<end
    self.values = values
  }
}
