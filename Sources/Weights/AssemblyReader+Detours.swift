package import Codecs
package import Formats
package import Platform
internal import Tensors

// MARK: - Detours over memory of their own

extension AssemblyReader {
  /// weight (rows, columns) → target (columns, rows)
  package func transpose(
    _ weight: Assembly, rows: Range<Int>, columns: Range<Int>, into target: MutableFloatMatrix,
    depth: Int
  ) throws(Fault) {
    try forEachSquare(
      of: weight, rows: rows, columns: columns, depth: depth
    ) { line, row, wanted in
      for column in wanted {
        target.base[(column - columns.lowerBound) * target.stride + row - rows.lowerBound] =
          line[column - wanted.lowerBound]
      }
    }
  }

  /// weight (rows, columns) → target of that size, where columns begin or end within a block
  package func cut(
    _ weight: Assembly, rows: Range<Int>, columns: Range<Int>, into target: MutableFloatMatrix,
    depth: Int
  ) throws(Fault) {
    try forEachSquare(
      of: weight, rows: rows, columns: columns, depth: depth
    ) { line, row, wanted in
      let start = (row - rows.lowerBound) * target.stride - columns.lowerBound
      (target.base + start + wanted.lowerBound).update(from: line, count: wanted.count)
    }
  }

  /// Decodes columns from block to block into an area, and hands each row of that over: where the
  /// wanted columns of it begin, the row, and the columns.
  private func forEachSquare(
    of weight: Assembly, rows: Range<Int>, columns: Range<Int>, depth: Int,
    _ body: (UnsafeMutablePointer<Float>, Int, Range<Int>) -> Void
  ) throws(Fault) {
    // What lies before and after the wanted columns is decoded and not used.
    let unit = weight.columnUnit
    let outer =
      columns.lowerBound / unit
      * unit..<min(
        weight.columns, (columns.upperBound + unit - 1) / unit * unit)
    let area = turned[depth]
    guard let base = area.baseAddress else { return }
    let most = area.count / unit * unit
    let rowsAtOnce = max(1, area.count / max(1, outer.count))
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsAtOnce) {
      let group = first..<min(rows.upperBound, first + rowsAtOnce)
      for start in stride(from: outer.lowerBound, to: outer.upperBound, by: most) {
        let piece = start..<min(outer.upperBound, start + most)
        let square = MutableFloatMatrix(base, rows: group.count, columns: piece.count)
        try decode(weight, rows: group, columns: piece, into: square, depth: depth + 1)
        let wanted = piece.clamped(to: columns)
        for (line, row) in group.enumerated() {
          body(
            square.base + line * square.stride + wanted.lowerBound - piece.lowerBound, row, wanted)
        }
      }
    }
  }
}

extension AssemblyReader {
  /// Elements of a plain tensor as F32.
  package static func numbers(
    _ range: Range<Int>, of tensor: StoredTensor, from inventory: Inventory
  ) throws(Fault) -> [Float] {
    let (from, to) = (
      tensor.type.byteOffset(of: range.lowerBound), tensor.type.byteOffset(of: range.upperBound)
    )
    let stored = ByteBuffer(count: to - from)
    try inventory.read(tensor, from: from, into: stored.bytes)
    return numbers(stored, tensor.type, count: range.count)
  }

  /// Stored elements as F32.
  static func numbers(
    _ stored: ByteBuffer, _ type: ElementType, count: Int
  ) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, used in
      codec(type).decode(
        UnsafeRawBufferPointer(stored.bytes),
        into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      used = count
    }
  }
}
