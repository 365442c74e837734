internal import Passes

/// How often an MTP layer's first choice is the main model's, see `Drafts`.
package struct DraftAcceptance: Sendable, Hashable {
  /// Positions that were compared.
  package let positions: Int
  /// Share of the reference's drafts that its main model would have chosen.
  package let reference: Double
  /// Of the candidate's.
  package let candidate: Double

  /// Counts for each depth.
  ///
  /// - Parameters:
  ///   - lengths: tokens of each sequence.
  ///   - heads: positions of the main model, then of each MTP layer, sequence after sequence.
  static func all(
    lengths: [Int], heads: [[LogitsMetrics.Position]]
  ) -> [DraftAcceptance] {
    let (reference, candidate) = (
      Drafts.kept(lengths: lengths, tops: heads.map { $0.map(\.topReference) }),
      Drafts.kept(lengths: lengths, tops: heads.map { $0.map(\.topCandidate) })
    )
    return zip(reference, candidate).map { a, b in
      let all = Double(a.positions)
      return DraftAcceptance(
        positions: a.positions, reference: Double(a.kept) / all, candidate: Double(b.kept) / all)
    }
  }
}
