internal import Codecs
internal import Dialects
internal import Formats
internal import Platform
internal import Tensors
internal import Weights

/// Puts a tile of an assembled tensor together, some rows at a time, so that values stay in the
/// processor's cache between decoding and encoding.
struct AssemblyProducer {
  let assembly: Assembly
  /// What values become.
  let type: ElementType
  /// The output's name, for faults.
  let name: ExactText
  let reader: AssemblyReader
  /// Memory for values before they are encoded.
  let values: UnsafeMutableBufferPointer<Float>
  /// What columns weigh when they are quantized.
  var importance: ImportanceColumns?
  /// Whether values that are not finite are refused, before and after they are encoded.
  var isChecked = false
  /// What becomes of values before they are rounded; nil for nothing.
  var change: Operation.Change?
  /// Told where values are NaN or infinite, and not refused for it.
  var sawNotFinite: (() -> Void)?
  /// Told where codes are put where no reader looks for them.
  var movedCodes: (() -> Void)?
  /// Told how many bytes are final, from the first on.
  var made: ((Int) -> Void)?

  private var columns: Int { assembly.columns }

  /// Fills `slot` with rows and columns of the output seen as a matrix; whole rows, or a piece of
  /// one row.
  func produce(
    rows: Range<Int>, columns: Range<Int>, into slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    let blocks = assembly.packing(into: type)
    let isMoved =
      blocks != nil || assembly.isCarried(as: type) || !isChecked && assembly.isMoved(to: type)
    if isMoved, change == nil {
      return try move(rows, columns, blocks, into: slot)
    }
    let codec = AssemblyReader.codec(type)
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
        try reader.decode(
          assembly, rows: group, columns: piece,
          into: MutableFloatMatrix(part.baseAddress!, rows: group.count, columns: piece.count))
        switch change {
        case nil: break
        case .times(let factor): for index in part.indices { part[index] *= factor }
        case .reciprocal: for index in part.indices { part[index] = 1 / part[index] }
        }
        if isChecked {
          try check(UnsafeRawBufferPointer(part), .f32, rows: group, columns: piece)
        }
        let (from, to) = (type.byteOffset(of: done), type.byteOffset(of: done + size))
        try encode(
          part, rows: group, with: codec, weights: &weights,
          into: UnsafeMutableRawBufferPointer(rebasing: slot[from..<to]))
        try check(
          UnsafeRawBufferPointer(rebasing: slot[from..<to]), type, rows: group,
          columns: piece)
        if codec.movesCodes(of: UnsafeBufferPointer(part)) { movedCodes?() }
        done += size
        made?(to)
      }
    }
  }

  /// Whole rows where they are stored as they are asked for, in the reader's memory until more is read;
  /// nil where something has to be made of them.
  func stored(rows: Range<Int>) throws(Fault) -> UnsafeRawBufferPointer? {
    guard assembly.isCarried(as: type) else { return nil }
    var stored: UnsafeRawBufferPointer?
    try AssemblyReader.forEachPiece(
      of: assembly, rows: rows, columns: 0..<columns
    ) { piece throws(Fault) in
      guard piece.rows.count == rows.count, piece.columns == 0..<piece.weight.columns,
        piece.columns.count == columns, let tensor = piece.weight.single?.tensor,
        rows.count * columns <= reader.limit(type)
      else { return }
      stored = try reader.fetch(
        tensor, MatrixTile(rows: piece.rows, columns: piece.columns, width: columns))
    }
    return stored
  }

  /// Throws where an element is NaN or infinite, which llama-quantize refuses as well; where that may
  /// be, throws for a finite number that has become infinite.
  private func check(
    _ bytes: UnsafeRawBufferPointer, _ form: ElementType, rows: Range<Int>, columns: Range<Int>
  ) throws(Fault) {
    guard isChecked else { return try checkRange(bytes, rows: rows, columns: columns) }
    guard let element = Codec.codec(for: form)?.firstNotFinite(bytes) else { return }
    let row = rows.lowerBound + element / columns.count
    throw Fault(
      .malformed,
      "row \(row), column \(columns.lowerBound + element % columns.count) "
        + (form == type && form != .f32 ? "overflows as \(type.rawValue)" : "is not finite"),
      file: reader.inventory.shards[assembly.shard(ofRow: row)].file.path, tensor: name,
      expected: "finite weights")
  }

  /// values (rows, columns) → bytes of the output's type, each matrix of a stack with its weights.
  private func encode(
    _ values: UnsafeMutableBufferPointer<Float>, rows: Range<Int>, with codec: Codec,
    weights: inout (matrix: Int, values: [Float])?, into bytes: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    guard let importance, type.isBlock else {
      return codec.encode(UnsafeBufferPointer(values), into: bytes)
    }
    let height = max(1, assembly.rows / importance.matrices)
    var done = 0
    for (matrix, range) in AssemblyReader.runs(of: rows, every: height) {
      let size = range.count * columns
      let (from, to) = (type.byteOffset(of: done), type.byteOffset(of: done + size))
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

  /// Bytes of stored rows, or what they become without a detour over F32.
  private func move(
    _ rows: Range<Int>, _ columns: Range<Int>, _ blocks: FP4Blocks?,
    into slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    // Whether what was moved stands in one stretch from the first byte on.
    var isOneStretch = true
    try AssemblyReader.forEachPiece(
      of: assembly, rows: rows, columns: columns
    ) { piece throws(Fault) in
      guard let (tensor, scaling) = piece.weight.single else {
        preconditionFailure("rows are kept")
      }
      let isWhole =
        piece.columns.count == piece.weight.columns && piece.targetColumns == 0..<columns.count
      let rowBytes = tensor.type.byteOffset(of: max(1, piece.columns.count))
      let most = min(reader.scratch.count, SourceWindow.pieceBytes)
      let rowsAtOnce = isWhole ? max(1, most / rowBytes) : 1
      isOneStretch = isOneStretch && isWhole
      for first in stride(from: piece.rows.lowerBound, to: piece.rows.upperBound, by: rowsAtOnce) {
        let group = first..<min(piece.rows.upperBound, first + rowsAtOnce)
        let line = piece.targetRows.lowerBound + first - piece.rows.lowerBound
        let start = line * columns.count + piece.targetColumns.lowerBound
        let tile = MatrixTile(rows: group, columns: piece.columns, width: piece.weight.columns)
        let (from, to) = (type.byteOffset(of: start), type.byteOffset(of: start + tile.count))
        let target = UnsafeMutableRawBufferPointer(rebasing: slot[from..<to])
        try move(tensor, scaling, tile, blocks, into: target)
        try check(
          UnsafeRawBufferPointer(target), type,
          rows: rows.lowerBound + line..<rows.lowerBound + line + group.count,
          columns: columns.lowerBound + piece.targetColumns.lowerBound..<columns.lowerBound
            + piece.targetColumns.upperBound)
        if isOneStretch { made?(to) }
      }
    }
  }

  private func move(
    _ tensor: StoredTensor, _ scaling: Scaling?, _ tile: MatrixTile, _ blocks: FP4Blocks?,
    into target: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    if let blocks, let scaling { return try pack(tensor, scaling, tile, blocks, into: target) }
    if tensor.type == type, scaling == nil {
      let start = tile.rows.lowerBound * tile.width + tile.columns.lowerBound
      return try reader.read(tensor, from: tensor.type.byteOffset(of: start), into: target)
    }
    let stored = try reader.fetch(tensor, tile)
    guard let scaling else {
      return AssemblyReader.codec(tensor.type).convert(
        stored, count: tile.count, to: AssemblyReader.codec(type), into: target)
    }
    let (grid, part) = try reader.scales(scaling, of: tile)
    grid.convert(stored, type: tensor.type, tile: part, to: type, into: target)
  }

  /// Codes and scales that stand apart → blocks that hold both.
  private func pack(
    _ tensor: StoredTensor, _ scaling: Scaling, _ tile: MatrixTile, _ blocks: FP4Blocks,
    into target: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    let groups = tile.width / blocks.group
    let first =
      tile.rows.lowerBound * groups + tile.columns.lowerBound / blocks.group
    let scales = ByteBuffer(count: tile.count / blocks.group)
    try reader.read(scaling.scales, from: first, into: scales.bytes)
    if let place = blocks.firstUncarried(UnsafeRawBufferPointer(scales.bytes)) {
      throw reader.uncarried(scaling.scales, at: first + place)
    }
    let codes = try reader.fetch(tensor, tile)
    blocks.pack(codes: codes, scales: UnsafeRawBufferPointer(scales.bytes), into: target)
  }
}

extension Assembly {
  /// Whether stored rows are rows of a tensor of that type, so that bytes are moved.
  func isCarried(as type: ElementType) -> Bool {
    keepsRows && allLeaves { $0.type == type && $1 == nil }
  }

  /// Whether plain elements and scaled codes become those of that type without a detour over F32.
  func isMoved(to type: ElementType) -> Bool {
    keepsRows && type.hasWholeBytes
      && allLeaves { tensor, scaling in tensor.type.hasWholeBytes && scaling?.kind != .number }
  }

  /// The file that holds a row, or the first of those.
  func shard(ofRow row: Int) -> Int {
    guard case .stacked(let parts) = form else { return first.tensor.shard }
    var top = 0
    for part in parts {
      if row < top + part.rows { return part.shard(ofRow: row - top) }
      top += part.rows
    }
    return first.tensor.shard
  }
}

extension ElementType {
  /// Whether each element has bytes of its own.
  fileprivate var hasWholeBytes: Bool { !isBlock && bits >= 8 }
}
