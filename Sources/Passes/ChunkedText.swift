/// A text's token ids cut into sequences of one length, as `llama-imatrix` and `llama-perplexity` cut
/// them.
package struct ChunkedText: Sendable, Equatable {
  /// The sequences.
  package let sequences: [[Int]]
  /// Ids at the end that fill no sequence and are left out.
  package let remainder: Int

  /// Cuts `ids` into pieces of `size`; fewer are one piece.
  ///
  /// - Parameter begin: the token that every text of the model begins with, nil where there is none.
  ///   It takes the place of the first id of each piece.
  package init(_ ids: [Int], size: Int, begin: Int?) {
    precondition(size > 0)
    let whole =
      ids.count < size
      ? [ids[...]]
      : stride(from: 0, through: ids.count - size, by: size)
        .map { ids[$0..<$0 + size] }
    sequences = whole.filter { !$0.isEmpty }.map { piece in
      begin.map { [$0] + piece.dropFirst() } ?? Array(piece)
    }
    remainder = ids.count < size ? 0 : ids.count % size
  }
}
