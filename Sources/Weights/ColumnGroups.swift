package import Tensors

/// Which group each column of a matrix belongs to, as `weight_g_idx` has it.
package struct ColumnGroups {
  /// A number for each column.
  package let groups: [Int]

  /// Takes numbers of 32 or 64 bits as they are stored.
  package init(_ bytes: ByteBuffer, type: ElementType) {
    groups = withExtendedLifetime(bytes) {
      type == .i64
        ? bytes.bytes.bindMemory(to: Int64.self).map { Int(Int64(littleEndian: $0)) }
        : bytes.bytes.bindMemory(to: Int32.self).map { Int(Int32(littleEndian: $0)) }
    }
  }

  /// Whether groups of so many adjacent columns follow each other, as they do where none are named.
  package func isInOrder(size: Int) -> Bool {
    groups.allSatisfy { $0 == -1 }
      || groups.indices.allSatisfy { groups[$0] == $0 / size }
  }

  /// The first group that has not so many columns, and how many it has; nil where there is none.
  package func firstUneven(size: Int) -> (group: Int, columns: Int)? {
    let counts = Dictionary(grouping: groups) { $0 }.mapValues(\.count)
    return (0..<groups.count / max(1, size)).lazy.map { ($0, counts[$0, default: 0]) }
      .first { $0.1 != size }
  }
}
