internal import CKernels
package import Tensors

extension BlockScales {
  /// codes (tile rows, tile columns), elements of `type` → values, same shape: see `convert`.
  package func decode(
    _ codes: UnsafeRawBufferPointer, type: ElementType, tile: MatrixTile, rowBytes: Int? = nil,
    into values: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    convert(
      codes, type: type, tile: tile, rowBytes: rowBytes, to: .f32,
      into: UnsafeMutableRawBufferPointer(values), level: level)
  }

  /// codes (tile rows, tile columns) of `type` → target, same shape, elements of `other` without
  /// gaps.
  ///
  /// The value in F32, then rounded to nearest, ties to even, with F16 overflowing to infinity: for
  /// FP8 blocks the bytes of torch's `(w.float() * scale).to(dtype)`.
  ///
  /// - Parameter rowBytes: bytes from one row of `codes` to the next; without it those that a row
  ///   touches. Each row starts at a byte.
  package func convert(
    _ codes: UnsafeRawBufferPointer, type: ElementType, tile: MatrixTile, rowBytes: Int? = nil,
    to other: ElementType, into target: UnsafeMutableRawBufferPointer,
    level: KernelLevel = .best
  ) {
    let spanned = type.bytesSpanned(elements: tile.columns.count)
    let rowBytes = rowBytes ?? spanned
    precondition(rowBytes >= spanned)
    precondition(codes.count >= (tile.rows.count - 1) * rowBytes + spanned)
    precondition(other.byteCount(elements: tile.count) == target.count && other.bits >= 8)
    precondition(tile.count == 0 || lastBlock(of: tile) < values.count)
    guard tile.count > 0 else { return }
    if type == .f8E4M3, rowBytes == spanned, case .none = offset, let kernels = level.kernels {
      if lookUp(codes, tile, other, target, kernels) { return }
      if let kernel = kernels.pointee.scaling(to: other) {
        let step = other.bits / 8
        forEachSegment(of: tile) { start, count, block in
          kernel(
            codes.baseAddress! + start, values[block], target.baseAddress! + start * step, count)
        }
        return
      }
    }
    convertThroughFloats(codes, type, tile, rowBytes, other, target, level)
  }

  /// The general way: decode a row, correct and scale it, encode it.
  private func convertThroughFloats(
    _ codes: UnsafeRawBufferPointer, _ type: ElementType, _ tile: MatrixTile, _ rowBytes: Int,
    _ other: ElementType, _ target: UnsafeMutableRawBufferPointer, _ level: KernelLevel
  ) {
    guard let codec = Codec.codec(for: type), let result = Codec.codec(for: other) else {
      preconditionFailure("\(type.rawValue) to \(other.rawValue) has no codec")
    }
    let (columns, step) = (tile.columns.count, other.bits / 8)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { values in
      for (index, row) in tile.rows.enumerated() {
        let start = index * rowBytes
        let bytes = UnsafeRawBufferPointer(
          rebasing: codes[start..<start + type.bytesSpanned(elements: columns)])
        decodeRow(
          bytes, codec: codec,
          tile: MatrixTile(rows: row..<row + 1, columns: tile.columns, width: tile.width),
          into: values, level: level)
        let place = index * columns * step
        result.encode(
          UnsafeBufferPointer(values),
          into: UnsafeMutableRawBufferPointer(rebasing: target[place..<place + columns * step]),
          level: level)
      }
    }
  }

  /// codes of a piece of one row, from the start of a byte on → values (tile columns)
  func decodeRow(
    _ codes: UnsafeRawBufferPointer, codec: Codec, tile: MatrixTile,
    into values: UnsafeMutableBufferPointer<Float>, level: KernelLevel
  ) {
    if decodeByKernel(codes, codec.type, tile, values, level) { return }
    codec.decodeUnchecked(codes, into: values, level: level)
    forEachSegment(of: tile) { start, count, block in
      for index in start..<start + count {
        values[index] = value(of: values[index], block: block)
      }
    }
  }

  /// The same for types that have a kernel; false, with nothing done, for others.
  private func decodeByKernel(
    _ codes: UnsafeRawBufferPointer, _ type: ElementType, _ tile: MatrixTile,
    _ target: UnsafeMutableBufferPointer<Float>, _ level: KernelLevel
  ) -> Bool {
    guard let kernels = fathom_groups_at(level.rawValue), let kind = type.codeKind,
      !tile.columns.isEmpty
    else { return false }
    let first =
      gridStart(row: tile.rows.lowerBound, width: tile.width)
      + tile.columns.lowerBound / blockColumns
    func decode(_ zeros: UnsafePointer<Float>?, step: Int, _ biases: UnsafePointer<Float>?) {
      values.withUnsafeBufferPointer { scales in
        var grid = fathom_code_grid(
          scales: scales.baseAddress! + first, zeros: zeros, zero_step: step, biases: biases,
          first: blockColumns - tile.columns.lowerBound % blockColumns, block: blockColumns)
        kernels.pointee.decode(
          codes.baseAddress!.assumingMemoryBound(to: UInt8.self), kind, tile.columns.count, &grid,
          target.baseAddress!)
      }
    }
    switch offset {
    case .none: decode(nil, step: 0, nil)
    case .zero(let zero): withUnsafePointer(to: zero) { decode($0, step: 0, nil) }
    case .zeros(let zeros):
      zeros.withUnsafeBufferPointer { decode($0.baseAddress! + first, step: 1, nil) }
    case .biases(let biases):
      biases.withUnsafeBufferPointer { decode(nil, step: 0, $0.baseAddress! + first) }
    }
    return true
  }

  private func lastBlock(of tile: MatrixTile) -> Int {
    gridStart(row: tile.rows.upperBound - 1, width: tile.width)
      + (tile.columns.upperBound - 1) / blockColumns
  }

  /// Calls `body` for each run of elements that are adjacent in the tile and in one block, with
  /// where it starts in the tile, its length and the block's index in the grid.
  func forEachSegment(
    of tile: MatrixTile, _ body: (_ start: Int, _ count: Int, _ block: Int) -> Void
  ) {
    var start = 0
    for row in tile.rows {
      let grid = gridStart(row: row, width: tile.width)
      var column = tile.columns.lowerBound
      while column < tile.columns.upperBound {
        let block = column / blockColumns
        let count = min((block + 1) * blockColumns, tile.columns.upperBound) - column
        body(start, count, grid + block)
        start += count
        column += count
      }
    }
  }
}

extension fathom_kernels {
  /// The kernel that scales E4M3 to a type; nil where there is none.
  func scaling(
    to type: ElementType
  ) -> (@convention(c) (UnsafeRawPointer, Float, UnsafeMutableRawPointer, Int) -> Void)? {
    switch type {
    case .f32: scale_e4m3_f32
    case .bf16: scale_e4m3_bf16
    case .f16: scale_e4m3_f16
    default: nil
    }
  }
}

extension ElementType {
  /// What the kernels for groups call the codes; nil where they have none.
  fileprivate var codeKind: Int32? {
    switch self {
    case .f4: Int32(FATHOM_CODE_F4)
    case .u8: 8
    default: isPackedCode ? Int32(bits) : nil
    }
  }
}
