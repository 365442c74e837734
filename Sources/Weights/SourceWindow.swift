package import Formats
internal import Platform
internal import Tensors

/// Memory that holds what is read next of stored tensors, a long piece at a time, so that their parts
/// are hashed while they are in the processor's cache and nothing is read twice for it.
///
/// What something is made of is said first, as pieces of stored tensors. A part belongs to the piece
/// that it begins in: it is read to its end with that.
package final class SourceWindow {
  /// A piece of a stored tensor that will be read from its beginning to its end.
  private struct Piece {
    let tensor: Int
    let bytes: Range<Int>

    func holds(_ tensor: Int, _ wanted: Range<Int>) -> Bool {
      self.tensor == tensor && bytes.lowerBound <= wanted.lowerBound
        && wanted.upperBound <= bytes.upperBound
    }
  }

  private let inventory: Inventory
  private let memory: UnsafeMutableRawBufferPointer
  private let seen: SeenParts
  private var pieces: [Piece] = []
  /// Where the piece stands that is being read.
  private var place = 0
  /// What is in the memory, from its first byte on.
  private var held = Piece(tensor: -1, bytes: 0..<0)

  /// Bytes that are read at a time: with what is made of them they stay in the second-level cache of
  /// most processors.
  package static let pieceBytes = 256 << 10
  /// Bytes of the memory: those, and the rest of the last part.
  package static let byteCount = pieceBytes + BLAKE3Stream.partBytes

  /// Makes a window over memory of the caller's of `byteCount` bytes.
  ///
  /// - Parameters:
  ///   - weight: what something is made of.
  ///   - rows: the rows of it, and `columns` the columns.
  ///   - seen: hashes what is read.
  package init(
    _ inventory: Inventory, of weight: Assembly, rows: Range<Int>, columns: Range<Int>,
    memory: UnsafeMutableRawBufferPointer, seen: SeenParts
  ) {
    precondition(memory.count == SourceWindow.byteCount)
    (self.inventory, self.memory, self.seen) = (inventory, memory, seen)
    AssemblyReader.forEachPiece(of: weight, rows: rows, columns: columns) { piece in
      guard let tensor = piece.weight.single?.tensor, tensor.arrangement == nil,
        inventory.tensors[tensor.index].arrangement == nil, seen.wants(tensor.index),
        piece.columns.count == piece.weight.columns || piece.rows.count == 1
      else { return }
      let start = piece.rows.lowerBound * piece.weight.columns + piece.columns.lowerBound
      let before = tensor.offset - inventory.tensors[tensor.index].offset
      let end = start + piece.rows.count * piece.columns.count
      pieces.append(
        Piece(
          tensor: tensor.index,
          bytes: before + tensor.type.byteOffset(of: start)..<before
            + tensor.type.byteOffset(of: end)))
    }
  }

  /// Bytes of a tensor, counted from its own start, which are valid until the next call; nil where
  /// they are no part of what was said, or more than the memory holds.
  ///
  /// - Throws: `.inputOutput` with file, tensor and offset where they cannot be read.
  func bytes(
    of tensor: StoredTensor, from start: Int, count: Int
  ) throws(Fault) -> UnsafeRawBufferPointer? {
    let wanted = range(tensor, from: start, count: count)
    guard let wanted, count <= SourceWindow.pieceBytes else { return nil }
    if !held.holds(tensor.index, wanted) {
      guard let piece = piece(tensor.index, wanted) else { return nil }
      try read(from: wanted.lowerBound, of: piece)
    }
    let offset = wanted.lowerBound - held.bytes.lowerBound
    return UnsafeRawBufferPointer(rebasing: memory[offset..<offset + count])
  }

  /// Has the parts hashed that lie wholly in bytes of a tensor which were read past the memory, since
  /// they are more than it holds.
  func saw(_ tensor: StoredTensor, from start: Int, _ bytes: UnsafeRawBufferPointer) {
    guard let range = range(tensor, from: start, count: bytes.count),
      piece(tensor.index, range) != nil
    else { return }
    seen.see(tensor: tensor.index, from: range.lowerBound, bytes)
  }

  /// Where bytes of a tensor, or of a slice of one, lie in the whole; nil where they do not lie in the
  /// order in which they are seen.
  private func range(_ tensor: StoredTensor, from start: Int, count: Int) -> Range<Int>? {
    guard tensor.arrangement == nil else { return nil }
    let first = tensor.offset - inventory.tensors[tensor.index].offset + start
    return first..<first + count
  }

  /// The piece that some bytes belong to: the one that is being read, or one behind it.
  private func piece(_ tensor: Int, _ wanted: Range<Int>) -> Piece? {
    if place < pieces.count, pieces[place].holds(tensor, wanted) { return pieces[place] }
    guard let found = pieces.firstIndex(where: { $0.holds(tensor, wanted) }) else { return nil }
    place = found
    return pieces[found]
  }

  /// Fills the memory from a byte of a piece on, up to the end of a part, and has parts hashed that
  /// were not in it before.
  private func read(from start: Int, of piece: Piece) throws(Fault) {
    let whole = inventory.tensors[piece.tensor]
    let part = BLAKE3Stream.partBytes
    let most = min(piece.bytes.upperBound, start + SourceWindow.pieceBytes)
    let end = min((most + part - 1) / part * part, whole.byteCount)
    let kept =
      held.tensor == piece.tensor && held.bytes.contains(start)
      ? start..<min(end, held.bytes.upperBound) : start..<start
    if !kept.isEmpty {
      let offset = start - held.bytes.lowerBound
      memory.copyMemory(
        from: UnsafeRawBufferPointer(rebasing: memory[offset..<offset + kept.count]))
    }
    held = Piece(tensor: -1, bytes: 0..<0)
    let fresh = UnsafeMutableRawBufferPointer(rebasing: memory[kept.count..<end - start])
    try inventory.read(whole, from: kept.upperBound, into: fresh)
    held = Piece(tensor: piece.tensor, bytes: start..<end)
    seen.see(tensor: piece.tensor, from: kept.upperBound, UnsafeRawBufferPointer(fresh))
  }
}
