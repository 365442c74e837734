package import Platform
package import Reference

extension TokenBatch {
  /// Tokens of the longest sequence.
  package var longest: Int { lengths().max() ?? 0 }

  /// The sequences in groups of so many, in order.
  ///
  /// - Throws: nothing that the batch itself has not thrown.
  package func groups(of size: Int) throws(Fault) -> [TokenBatch] {
    var groups: [TokenBatch] = []
    for start in stride(from: 0, to: sequences.count, by: size) {
      groups.append(
        try TokenBatch(
          Array(sequences[start..<min(start + size, sequences.count)]), vocabSize: .max))
    }
    return groups
  }

  /// Tokens of the largest such group.
  package func mostRows(together size: Int) -> Int {
    stride(from: 0, to: sequences.count, by: size).map { start in
      sequences[start..<min(start + size, sequences.count)].reduce(0) { $0 + $1.count }
    }.max() ?? 0
  }
}
