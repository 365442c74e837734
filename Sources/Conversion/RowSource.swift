internal import Codecs
internal import Formats
internal import Platform
internal import Tensors

/// Decodes pieces of rows of stored tensors to F32.
struct RowSource {
  let inventory: Inventory
  /// Memory for stored bytes.
  let scratch: UnsafeMutableRawBufferPointer
  /// Counts what is read.
  let count: (Int) -> Void

  /// Most elements of a part that are decoded at a time.
  func limit(_ part: Assembly.Part) -> Int {
    let block = part.tensor.type.blockElements
    let bytes = part.tensor.type.byteOffset(of: block)
    return max(block, scratch.count / bytes * block)
  }

  /// Reads bytes that hold elements `range` of a tensor, its first and last at block borders.
  func fetch(
    _ tensor: StoredTensor, _ range: Range<Int>, into bytes: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    try inventory.read(
      tensor, from: tensor.type.byteOffset(of: range.lowerBound), into: bytes)
    count(bytes.count)
  }

  /// part (rows, columns), whole rows or columns of a single row → values, without gaps
  ///
  /// Pieces larger than the scratch memory are read one after the other.
  func decode(
    _ part: Assembly.Part, rows: Range<Int>, columns: Range<Int>, width: Int,
    into values: UnsafeMutableBufferPointer<Float>
  ) throws(Fault) {
    let isWhole = columns.count == width
    precondition(isWhole || rows.count == 1)
    let most = limit(part)
    var done = 0
    if isWhole, width <= most {
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: most / max(1, width)) {
        let last = min(rows.upperBound, first + most / max(1, width))
        let size = (last - first) * width
        try decodePiece(
          part, rows: first..<last, columns: columns, width: width,
          into: UnsafeMutableBufferPointer(rebasing: values[done..<done + size]))
        done += size
      }
      return
    }
    for row in rows {
      for first in stride(from: columns.lowerBound, to: columns.upperBound, by: most) {
        let piece = first..<min(columns.upperBound, first + most)
        try decodePiece(
          part, rows: row..<row + 1, columns: piece, width: width,
          into: UnsafeMutableBufferPointer(rebasing: values[done..<done + piece.count]))
        done += piece.count
      }
    }
  }

  private func decodePiece(
    _ part: Assembly.Part, rows: Range<Int>, columns: Range<Int>, width: Int,
    into values: UnsafeMutableBufferPointer<Float>
  ) throws(Fault) {
    let type = part.tensor.type
    let start = rows.lowerBound * width + columns.lowerBound
    let end = start + values.count
    let stored = UnsafeMutableRawBufferPointer(
      rebasing: scratch[..<(type.byteOffset(of: end) - type.byteOffset(of: start))])
    try fetch(part.tensor, start..<end, into: stored)
    guard let block = part.block, let scales = part.scales else {
      return codec(type).decode(UnsafeRawBufferPointer(stored), into: values)
    }
    let gridWidth = scales.shape.dimensions[1]
    let firstBand = rows.lowerBound / block.rows
    let bands = firstBand..<(rows.upperBound - 1) / block.rows + 1
    let grid = BlockScales(
      values: try numbers(
        bands.lowerBound * gridWidth..<bands.upperBound * gridWidth, of: scales),
      blockRows: block.rows, blockColumns: block.columns)
    let skipped = firstBand * block.rows
    grid.decode(
      UnsafeRawBufferPointer(stored), type: type,
      tile: MatrixTile(
        rows: rows.lowerBound - skipped..<rows.upperBound - skipped, columns: columns,
        width: width),
      into: values)
  }

  /// Elements of a plain tensor as F32.
  private func numbers(_ range: Range<Int>, of tensor: StoredTensor) throws(Fault) -> [Float] {
    let bytes = tensor.type.byteOffset(of: range.count)
    let stored = ByteBuffer(count: bytes)
    try fetch(tensor, range, into: stored.bytes)
    return [Float](unsafeUninitializedCapacity: range.count) { buffer, count in
      codec(tensor.type).decode(
        UnsafeRawBufferPointer(stored.bytes),
        into: UnsafeMutableBufferPointer(rebasing: buffer[..<range.count]))
      count = range.count
    }
  }

  private func codec(_ type: ElementType) -> Codec {
    guard let codec = Codec.codec(for: type) else {
      preconditionFailure("the plan converts types that have codecs")
    }
    return codec
  }
}
