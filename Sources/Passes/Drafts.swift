/// Multi-token prediction as speculative decoding uses it: the share of an MTP layer's most likely
/// tokens that the main model finds most likely too.
package enum Drafts {
  /// Counts for each depth how often it is so.
  ///
  /// Depth d says which token follows d places behind those that the main model has seen; that is
  /// compared with what the main model says once it has seen them. Each depth is counted by itself,
  /// whether or not those before it were right.
  ///
  /// - Parameters:
  ///   - lengths: tokens of each sequence.
  ///   - tops: the most likely token of each row, of the main model and then of each MTP layer, sequence
  ///     after sequence.
  package static func kept(
    lengths: [Int], tops: [[Int]]
  ) -> [(positions: Int, kept: Int)] {
    guard let main = tops.first else { return [] }
    return tops.indices.dropFirst().map { depth in
      var (row, first, positions, kept) = (0, 0, 0, 0)
      for length in lengths {
        for place in 0..<max(0, length - depth) where row + place < tops[depth].count {
          positions += 1
          kept += tops[depth][row + place] == main[first + place + depth] ? 1 : 0
        }
        row += max(0, length - depth)
        first += length
      }
      return (positions, kept)
    }
  }
}
