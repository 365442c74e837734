internal import Codecs
internal import Formats
internal import Platform
internal import Tensors

/// Puts a tile of an assembled tensor together, some rows at a time, so that values stay in the
/// processor's cache between decoding and encoding.
struct AssemblyProducer {
  let assembly: Assembly
  let entry: OutputLayout.Entry
  let source: RowSource
  /// Memory for values before they are encoded, and for those that are yet to be transposed.
  let values: UnsafeMutableBufferPointer<Float>
  let turned: UnsafeMutableBufferPointer<Float>
  /// What columns weigh when they are quantized.
  var importance: ImportanceColumns?
  /// Whether values that are not finite are refused, before and after they are encoded.
  var isChecked = false

  /// Values decoded at a time: 256 KiB as F32, part of the second-level cache of most processors.
  static let chunk = 1 << 16

  /// Elements decoded at a time within scratch memory of that size, a multiple of every block.
  ///
  /// Where columns are weighed that is a row at least: its mean square enters into each block.
  static func chunk(_ tensor: PlannedTensor, scratchBytes: Int) -> Int {
    let most = scratchBytes / areaBytes / 256 * 256
    return min(max(chunk, tensor.weighedRow), most)
  }

  /// Three areas of up to four bytes an element.
  static let areaBytes = 12

  private var columns: Int { entry.shape.dimensions.last ?? 1 }

  /// Fills `slot` with rows and columns of the output seen as a matrix; whole rows, or a piece of
  /// one row.
  func produce(
    rows: Range<Int>, columns: Range<Int>, into slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    if isCopied { return try copy(rows, columns, into: slot) }
    guard let codec = Codec.codec(for: entry.type) else {
      preconditionFailure("the plan converts to types that have codecs")
    }
    let most = values.count
    var weights: (matrix: Int, values: [Float])?
    let rowsAtOnce = max(1, most / columns.count)
    var done = 0
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsAtOnce) {
      let group = first..<min(rows.upperBound, first + rowsAtOnce)
      for start in stride(from: columns.lowerBound, to: columns.upperBound, by: most) {
        let piece = start..<min(columns.upperBound, start + most)
        let size = group.count * piece.count
        let part = UnsafeMutableBufferPointer(rebasing: values[..<size])
        try decode(rows: group, columns: piece, into: part)
        try check(UnsafeRawBufferPointer(part), .f32, rows: group, columns: piece)
        let (from, to) = (entry.type.byteOffset(of: done), entry.type.byteOffset(of: done + size))
        try encode(
          part, rows: group, with: codec, weights: &weights,
          into: UnsafeMutableRawBufferPointer(rebasing: slot[from..<to]))
        try check(
          UnsafeRawBufferPointer(rebasing: slot[from..<to]), entry.type, rows: group,
          columns: piece)
        done += size
      }
    }
  }

  /// Throws where an element is NaN or infinite, which llama-quantize refuses as well.
  private func check(
    _ bytes: UnsafeRawBufferPointer, _ type: ElementType, rows: Range<Int>, columns: Range<Int>
  ) throws(Fault) {
    guard isChecked, let element = Codec.codec(for: type)?.firstNotFinite(bytes) else { return }
    let row = rows.lowerBound + element / columns.count
    let height = max(1, entry.shape.elementCount / max(1, self.columns) / assembly.parts.count)
    let part = assembly.parts[min(row / height, assembly.parts.count - 1)].tensor
    throw Fault(
      .malformed,
      "row \(row), column \(columns.lowerBound + element % columns.count) "
        + (type == entry.type && type != .f32 ? "overflows as \(type.rawValue)" : "is not finite"),
      file: source.inventory.shards[part.shard].file.path, tensor: entry.name,
      expected: "finite weights")
  }

  /// values (rows, columns) → bytes of the output's type, each matrix of a stack with its weights.
  private func encode(
    _ values: UnsafeMutableBufferPointer<Float>, rows: Range<Int>, with codec: Codec,
    weights: inout (matrix: Int, values: [Float])?, into bytes: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    guard let importance, entry.type.isBlock else {
      return codec.encode(UnsafeBufferPointer(values), into: bytes)
    }
    let height = max(1, entry.shape.elementCount / max(1, columns) / importance.matrices)
    var done = 0
    for (matrix, range) in AssemblyProducer.runs(of: rows, every: height) {
      let size = range.count * columns
      let (from, to) = (entry.type.byteOffset(of: done), entry.type.byteOffset(of: done + size))
      if weights?.matrix != matrix {
        weights = (matrix, try importance.weights(ofMatrix: matrix))
      }
      weights?.values.withUnsafeBufferPointer { weights in
        codec.encode(
          UnsafeBufferPointer(rebasing: values[done..<done + size]), columns: columns,
          importance: weights, into: UnsafeMutableRawBufferPointer(rebasing: bytes[from..<to]))
      }
      done += size
    }
  }

  /// Whether each row of the output is a row of a source in its own type, so that bytes are copied.
  private var isCopied: Bool {
    switch assembly.rows {
    case .stacked, .slices:
      assembly.parts.allSatisfy { $0.tensor.type == entry.type && $0.scales == nil }
    case .transposedSlices, .joined: false
    }
  }

  private func copy(
    _ rows: Range<Int>, _ columns: Range<Int>, into slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    var done = 0
    try forEachRun(of: rows) { part, sourceRows throws(Fault) in
      let start = sourceRows.lowerBound * self.columns + columns.lowerBound
      let size = sourceRows.count * columns.count
      let (from, to) = (entry.type.byteOffset(of: done), entry.type.byteOffset(of: done + size))
      try source.fetch(
        part.tensor, start..<start + size,
        into: UnsafeMutableRawBufferPointer(rebasing: slot[from..<to]))
      done += size
    }
    try check(
      UnsafeRawBufferPointer(rebasing: slot[..<entry.type.byteOffset(of: done)]), entry.type,
      rows: rows, columns: columns)
  }

  private func decode(
    rows: Range<Int>, columns: Range<Int>, into values: UnsafeMutableBufferPointer<Float>
  ) throws(Fault) {
    var done = 0
    func next(_ size: Int) -> UnsafeMutableBufferPointer<Float> {
      defer { done += size }
      return UnsafeMutableBufferPointer(rebasing: values[done..<done + size])
    }
    switch assembly.rows {
    case .stacked, .slices:
      try forEachRun(of: rows) { part, sourceRows throws(Fault) in
        try source.decode(
          part, rows: sourceRows, columns: columns, width: self.columns,
          into: next(sourceRows.count * columns.count))
      }
    case .transposedSlices(let first, _, let period):
      let height = entry.shape.dimensions[entry.shape.dimensions.count - 2]
      for (slice, range) in AssemblyProducer.runs(of: rows, every: height) {
        let start = slice * period + first
        try transpose(
          assembly.parts[0], rows: start + columns.lowerBound..<start + columns.upperBound,
          columns: range, width: height, into: next(range.count * columns.count))
      }
    case .joined(let keys, let valueRows):
      for (head, range) in AssemblyProducer.runs(of: rows, every: keys + valueRows) {
        let own = range.clamped(to: 0..<keys)
        if !own.isEmpty {
          let start = head * self.columns
          try transpose(
            assembly.parts[0], rows: start + columns.lowerBound..<start + columns.upperBound,
            columns: own, width: keys, into: next(own.count * columns.count))
        }
        let rest = range.clamped(to: keys..<keys + valueRows)
        guard !rest.isEmpty else { continue }
        let start = head * valueRows - keys
        try source.decode(
          assembly.parts[1], rows: start + rest.lowerBound..<start + rest.upperBound,
          columns: columns, width: self.columns, into: next(rest.count * columns.count))
      }
    }
  }

  /// part (rows, columns) → values (columns, rows)
  private func transpose(
    _ part: Assembly.Part, rows: Range<Int>, columns: Range<Int>, width: Int,
    into values: UnsafeMutableBufferPointer<Float>
  ) throws(Fault) {
    let block = part.tensor.type.blockElements
    // Columns from block to block: what lies before and after is decoded and not used.
    let outer =
      columns.lowerBound / block
      * block..<min(
        width, (columns.upperBound + block - 1) / block * block)
    let isWhole = outer.count == width
    let rowsAtOnce = isWhole ? max(1, turned.count / width) : 1
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsAtOnce) {
      let group = first..<min(rows.upperBound, first + rowsAtOnce)
      for start in stride(from: outer.lowerBound, to: outer.upperBound, by: turned.count) {
        let piece = start..<min(outer.upperBound, start + turned.count)
        let square = UnsafeMutableBufferPointer(rebasing: turned[..<(group.count * piece.count)])
        try source.decode(part, rows: group, columns: piece, width: width, into: square)
        let wanted = piece.clamped(to: columns)
        for (line, row) in group.enumerated() {
          for column in wanted {
            values[(column - columns.lowerBound) * rows.count + row - rows.lowerBound] =
              square[line * piece.count + column - piece.lowerBound]
          }
        }
      }
    }
  }

  /// Calls `body` for each run of output rows that are adjacent in one part.
  private func forEachRun(
    of rows: Range<Int>, _ body: (Assembly.Part, Range<Int>) throws(Fault) -> Void
  ) throws(Fault) {
    switch assembly.rows {
    case .slices(let first, let count, let period):
      for (slice, range) in AssemblyProducer.runs(of: rows, every: count) {
        let start = slice * period + first
        try body(assembly.parts[0], start + range.lowerBound..<start + range.upperBound)
      }
    case .stacked:
      let height = entry.shape.elementCount / max(1, columns) / assembly.parts.count
      for (index, range) in AssemblyProducer.runs(of: rows, every: height) {
        try body(assembly.parts[index], range)
      }
    case .transposedSlices, .joined: preconditionFailure("its rows are columns of the source")
    }
  }

  /// Rows divided where a multiple of `period` lies: the multiple, and the rows counted from it.
  private static func runs(of rows: Range<Int>, every period: Int) -> [(Int, Range<Int>)] {
    var runs: [(Int, Range<Int>)] = []
    var row = rows.lowerBound
    while row < rows.upperBound {
      let index = row / period
      let end = min(rows.upperBound, (index + 1) * period)
      runs.append((index, row - index * period..<end - index * period))
      row = end
    }
    return runs
  }
}
