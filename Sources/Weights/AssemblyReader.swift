package import Codecs
package import Formats
package import Platform
package import Tensors

/// Reads rectangles of assembled weights from the files: as F32, or byte for byte.
package struct AssemblyReader {
  /// Values decoded at a time: 256 KiB as F32, part of the second-level cache of most processors.
  package static let chunk = 1 << 16

  /// The stored tensors.
  package let inventory: Inventory
  /// Memory for stored bytes.
  package let scratch: UnsafeMutableRawBufferPointer
  /// Memory for values that are yet to be transposed or cut, an area for each of those in another.
  package let turned: [UnsafeMutableBufferPointer<Float>]
  /// Counts what is read.
  package let count: (Int) -> Void
  /// Looks at what is read of a stored tensor.
  package var look: ((StoredTensor, UnsafeRawBufferPointer) -> Void)?
  /// Reads ahead of what is asked for; nil where each piece is read by itself.
  package var window: SourceWindow?

  /// Makes a reader over memory of the caller's.
  package init(
    inventory: Inventory, scratch: UnsafeMutableRawBufferPointer,
    turned: [UnsafeMutableBufferPointer<Float>], count: @escaping (Int) -> Void
  ) {
    self.inventory = inventory
    self.scratch = scratch
    self.turned = turned
    self.count = count
  }

  /// weight (rows, columns) → target, of that size.
  ///
  /// Columns begin and end at multiples of `Assembly.columnUnit`, or at the end of a row.
  package func decode(
    _ weight: Assembly, rows: Range<Int>, columns: Range<Int>, into target: MutableFloatMatrix,
    depth: Int = 0
  ) throws(Fault) {
    switch weight.form {
    case .transposedSlices(let part, let slices):
      for (slice, range) in AssemblyReader.runs(of: rows, every: part.columns) {
        let start = slice * slices.period + slices.first
        try transpose(
          part, rows: start + columns.lowerBound..<start + columns.upperBound, columns: range,
          into: target.rows(target.range(of: slice * part.columns, range, rows)), depth: depth)
      }
    case .joined(let keys, let values, let heads):
      let (keyRows, valueRows) = (keys.columns, values.rows / heads)
      for (head, range) in AssemblyReader.runs(of: rows, every: keyRows + valueRows) {
        let top = head * (keyRows + valueRows)
        let own = range.clamped(to: 0..<keyRows)
        if !own.isEmpty {
          let start = head * weight.columns
          try transpose(
            keys, rows: start + columns.lowerBound..<start + columns.upperBound, columns: own,
            into: target.rows(target.range(of: top, own, rows)), depth: depth)
        }
        let rest = range.clamped(to: keyRows..<keyRows + valueRows)
        guard !rest.isEmpty else { continue }
        let start = head * valueRows - keyRows
        try decode(
          values, rows: start + rest.lowerBound..<start + rest.upperBound, columns: columns,
          into: target.rows(target.range(of: top, rest, rows)), depth: depth)
      }
    case .columns(let part, let range) where !part.isWhole(range):
      try cut(
        part, rows: rows,
        columns: range.lowerBound + columns.lowerBound..<range.lowerBound + columns.upperBound,
        into: target, depth: depth)
    case .stored, .stacked, .beside, .slices, .columns:
      try AssemblyReader.forEachPiece(
        of: weight, rows: rows, columns: columns
      ) { piece throws(Fault) in
        let part = target.rows(piece.targetRows).columns(piece.targetColumns)
        if case .stored(let tensor, let scaling) = piece.weight.form {
          try decode(
            tensor, scaling, width: piece.weight.columns, rows: piece.rows,
            columns: piece.columns, into: part)
        } else {
          try decode(
            piece.weight, rows: piece.rows, columns: piece.columns, into: part, depth: depth)
        }
      }
    }
  }

  // MARK: Stored tensors

  /// stored (rows, columns) of rows of `width` elements → target
  ///
  /// Pieces larger than the scratch memory are read one after the other.
  private func decode(
    _ tensor: StoredTensor, _ scaling: Scaling?, width: Int, rows: Range<Int>,
    columns: Range<Int>, into target: MutableFloatMatrix
  ) throws(Fault) {
    let most = limit(tensor.type)
    let isWhole = columns.count == width && target.stride == width && width <= most
    let rowsAtOnce = isWhole ? max(1, most / max(1, width)) : 1
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsAtOnce) {
      let group = first..<min(rows.upperBound, first + rowsAtOnce)
      let start = target.base + (first - rows.lowerBound) * target.stride
      for left in stride(from: columns.lowerBound, to: columns.upperBound, by: most) {
        let tile = MatrixTile(
          rows: group, columns: left..<min(columns.upperBound, left + most), width: width)
        let values = UnsafeMutableBufferPointer(
          start: start + left - columns.lowerBound, count: tile.count)
        let stored = try fetch(tensor, tile)
        guard let scaling, scaling.kind != .number else {
          AssemblyReader.codec(tensor.type).decode(stored, into: values)
          guard let scaling else { continue }
          let number = try numbers(0..<1, of: scaling.scales)[0]
          for index in values.indices { values[index] *= number }
          continue
        }
        let (grid, part) = try scales(scaling, of: tile)
        grid.decode(stored, type: tensor.type, tile: part, into: values)
      }
    }
  }

  /// Most elements of a type that are read at a time.
  package func limit(_ type: ElementType) -> Int {
    let unit = type.leastElements
    return max(unit, scratch.count / type.byteOffset(of: unit) * unit)
  }

  /// The bytes of a tile, contiguous in the file: whole rows, or a piece of one. They are valid until
  /// more is read.
  package func fetch(_ tensor: StoredTensor, _ tile: MatrixTile) throws(Fault)
    -> UnsafeRawBufferPointer
  {
    let start = tile.rows.lowerBound * tile.width + tile.columns.lowerBound
    let (from, to) = (
      tensor.type.byteOffset(of: start), tensor.type.byteOffset(of: start + tile.count)
    )
    if let bytes = try window?.bytes(of: tensor, from: from, count: to - from) {
      note(tensor, bytes)
      return bytes
    }
    let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch[..<(to - from)])
    try inventory.read(tensor, from: from, into: bytes)
    window?.saw(tensor, from: from, UnsafeRawBufferPointer(bytes))
    note(tensor, UnsafeRawBufferPointer(bytes))
    return UnsafeRawBufferPointer(bytes)
  }

  /// Bytes of a tensor, counted from its own start.
  package func read(
    _ tensor: StoredTensor, from start: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    if let held = try window?.bytes(of: tensor, from: start, count: bytes.count) {
      bytes.copyMemory(from: held)
    } else {
      try inventory.read(tensor, from: start, into: bytes)
      window?.saw(tensor, from: start, UnsafeRawBufferPointer(bytes))
    }
    note(tensor, UnsafeRawBufferPointer(bytes))
  }

  private func note(_ tensor: StoredTensor, _ bytes: UnsafeRawBufferPointer) {
    count(bytes.count)
    look?(tensor, bytes)
  }

  /// What scales a tile, and the tile as one of the matrix that starts with its rows.
  package func scales(
    _ scaling: Scaling, of tile: MatrixTile
  ) throws(Fault) -> (BlockScales, MatrixTile) {
    let part = MatrixTile(rows: 0..<tile.rows.count, columns: tile.columns, width: tile.width)
    return (try scales(scaling, rows: tile.rows, width: tile.width), part)
  }

  /// What scales some rows of a matrix of so many columns.
  package func scales(
    _ scaling: Scaling, rows: Range<Int>, width: Int
  ) throws(Fault) -> BlockScales {
    guard !rows.isEmpty else { return BlockScales(values: [], blockRows: 1, blockColumns: 1) }
    switch scaling.kind {
    case .blocks(let block):
      let gridWidth = scaling.scales.shape.dimensions[1]
      let bands = rows.lowerBound / block.rows..<(rows.upperBound - 1) / block.rows + 1
      let scales = BlockScales(
        values: try numbers(
          bands.lowerBound * gridWidth..<bands.upperBound * gridWidth, of: scaling.scales),
        blockRows: block.rows, blockColumns: block.columns,
        firstRow: rows.lowerBound % block.rows)
      return scaling.factor == 1 ? scales : scales.multiplied(by: scaling.factor)
    case .groups(let scheme): return try scales(scaling, scheme, rows: rows, width: width)
    case .number: preconditionFailure("one number is no grid")
    }
  }

  private func scales(
    _ scaling: Scaling, _ scheme: GroupScheme, rows: Range<Int>, width: Int
  ) throws(Fault) -> BlockScales {
    let grid = try bytes(of: scaling.scales, rows: rows)
    var words: ByteBuffer?
    var first = 0
    if let offsets = scaling.offsets {
      // Words of zero points hold several rows each.
      let perWord = scheme.bandRows
      let lines = rows.lowerBound / perWord..<(rows.upperBound - 1) / perWord + 1
      first = rows.lowerBound % perWord
      words = try bytes(of: offsets, rows: lines)
    }
    let global = try scaling.globalScale.map { tensor throws(Fault) in
      try numbers(0..<1, of: tensor)[0]
    }
    defer { withExtendedLifetime((grid, words)) {} }
    let scales = scheme.blockScales(
      UnsafeRawBufferPointer(grid.bytes), scaleType: scaling.scales.type,
      offsets: words.map { UnsafeRawBufferPointer($0.bytes) }, firstZeroPoint: first,
      rows: rows.count, columns: width, globalScale: global ?? 1)
    guard let tensor = scaling.columnGroups else { return scales }
    let groups = try columnGroups(tensor, count: scheme.groups(columns: width))
    return groups.map { scales.ofColumns(in: $0, rows: rows.count) } ?? scales
  }

  /// Each column's group; nil where none was ever assigned, and groups are adjacent columns.
  ///
  /// - Throws: `.malformed` where there is no such group.
  private func columnGroups(_ tensor: StoredTensor, count: Int) throws(Fault) -> [Int]? {
    let buffer = ByteBuffer(count: tensor.byteCount)
    try read(tensor, from: 0, into: buffer.bytes)
    let groups = ColumnGroups(buffer, type: tensor.type).groups
    // As the library leaves them that made room for them.
    if groups.allSatisfy({ $0 == -1 }) { return nil }
    guard let place = groups.firstIndex(where: { !(0..<count).contains($0) }) else { return groups }
    throw Fault(
      .malformed, "names a group that is not there",
      file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
      offset: UInt64(tensor.offset + tensor.byteCount / groups.count * place),
      expected: "0 to \(count - 1)", found: "\(groups[place])")
  }

  /// Rows of a matrix as they are stored.
  private func bytes(of tensor: StoredTensor, rows: Range<Int>) throws(Fault) -> ByteBuffer {
    let columns = tensor.shape.dimensions[1]
    let (from, to) = (
      tensor.type.byteOffset(of: rows.lowerBound * columns),
      tensor.type.byteOffset(of: rows.upperBound * columns)
    )
    let buffer = ByteBuffer(count: to - from)
    try read(tensor, from: from, into: buffer.bytes)
    return buffer
  }

  /// Elements of a plain tensor as F32.
  private func numbers(_ range: Range<Int>, of tensor: StoredTensor) throws(Fault) -> [Float] {
    let stored = ByteBuffer(count: tensor.type.byteOffset(of: range.count))
    try read(tensor, from: tensor.type.byteOffset(of: range.lowerBound), into: stored.bytes)
    return AssemblyReader.numbers(stored, tensor.type, count: range.count)
  }

  /// A scale that one of the homes of FP4 reads as another number.
  package func uncarried(_ tensor: StoredTensor, at byte: Int) -> Fault {
    Fault(
      .malformed, "holds a scale that is not positive and finite in every format",
      file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
      offset: UInt64(tensor.place(ofByte: byte)), expected: "a scale that can be moved")
  }

  /// The codec of a type that a plan decodes, which has one.
  package static func codec(_ type: ElementType) -> Codec {
    guard let codec = Codec.codec(for: type) else {
      preconditionFailure("the plan converts types that have codecs")
    }
    return codec
  }
}

extension MutableFloatMatrix {
  /// Rows of a target of `rows` that a range counted from `top` falls on.
  fileprivate func range(of top: Int, _ range: Range<Int>, _ rows: Range<Int>) -> Range<Int> {
    top + range.lowerBound - rows.lowerBound..<top + range.upperBound - rows.lowerBound
  }
}
