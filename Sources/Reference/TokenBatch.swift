package import Platform

/// Token sequences that go through the network together, each seeing only itself.
///
/// Their tokens lie one after the other as the rows of every `Activations`. A multi-token
/// predictor of depth d has d rows fewer per sequence, as its input needs the token d places on.
package struct TokenBatch: Sendable, Hashable {
  /// The token ids, sequence by sequence.
  package let sequences: [[Int]]

  /// Checks the ids.
  ///
  /// - Throws: `.malformed` with the place of an id outside the vocabulary, or where there is
  ///   nothing to process.
  package init(_ sequences: [[Int]], vocabSize: Int) throws(Fault) {
    guard !sequences.isEmpty else { throw Fault(.malformed, "the input has no token sequence") }
    for (number, sequence) in sequences.enumerated() {
      guard !sequence.isEmpty else {
        throw Fault(.malformed, "sequence \(number) of the input has no tokens")
      }
      if let position = sequence.firstIndex(where: { $0 < 0 || $0 >= vocabSize }) {
        throw Fault(
          .malformed, "token \(position) of sequence \(number) is not in the vocabulary",
          expected: "an id from 0 to \(vocabSize - 1)", found: "\(sequence[position])")
      }
    }
    self.sequences = sequences
  }

  /// Rows that each sequence has at `depth`: 0 for the main model, d for the d-th MTP layer.
  package func lengths(depth: Int = 0) -> [Int] { sequences.map { max(0, $0.count - depth) } }

  /// Rows at `depth` of all sequences together.
  package func rows(depth: Int = 0) -> Int { lengths(depth: depth).reduce(0, +) }

  /// The id `distance` places after each row's position at `depth`; nil past the end.
  ///
  /// With distance = depth these are the inputs of a depth, with depth + 1 what it predicts.
  package func ids(depth: Int, distance: Int) -> [Int?] {
    sequences.flatMap { sequence in
      (0..<max(0, sequence.count - depth)).map { position in
        position + distance < sequence.count ? sequence[position + distance] : nil
      }
    }
  }

  /// The rows of `depth` that go on to `depth` + 1: all but the last of each sequence.
  func rowsContinuing(depth: Int) -> [Int] {
    var rows: [Int] = []
    var start = 0
    for length in lengths(depth: depth) {
      rows += start..<start + max(0, length - 1)
      start += length
    }
    return rows
  }
}
