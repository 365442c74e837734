public import Tensors

extension BlockScales {
  /// codes (tile rows, tile columns), elements of `type` without gaps → values, same shape.
  ///
  /// value = code × scale of its block, both in F32 and rounded once: torch's `w.float() * scale`.
  public func decode(
    _ codes: UnsafeRawBufferPointer, type: ElementType, tile: MatrixTile,
    into values: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    precondition(type.byteCount(elements: tile.count) == codes.count && type.bits >= 8)
    precondition(values.count == tile.count)
    guard let codec = Codec.codec(for: type) else {
      preconditionFailure("\(type.rawValue) has no codec")
    }
    let step = type.bits / 8
    forEachSegment(of: tile) { start, count, scale in
      let part = UnsafeMutableBufferPointer(rebasing: values[start..<start + count])
      let bytes = UnsafeRawBufferPointer(rebasing: codes[start * step..<(start + count) * step])
      codec.decode(bytes, into: part, level: level)
      for index in 0..<count { part[index] *= scale }
    }
  }

  /// codes (tile rows, tile columns) of `type` → target, same shape, elements of `other`.
  ///
  /// The same bytes as torch's `(w.float() * scale).to(dtype)`: the product is rounded to F32, then
  /// to nearest, ties to even, with F16 overflowing to infinity.
  public func convert(
    _ codes: UnsafeRawBufferPointer, type: ElementType, tile: MatrixTile,
    to other: ElementType, into target: UnsafeMutableRawBufferPointer,
    level: KernelLevel = .best
  ) {
    precondition(type.byteCount(elements: tile.count) == codes.count && type.bits >= 8)
    precondition(other.byteCount(elements: tile.count) == target.count && other.bits >= 8)
    guard let codec = Codec.codec(for: type), let result = Codec.codec(for: other) else {
      preconditionFailure("\(type.rawValue) to \(other.rawValue) has no codec")
    }
    let (step, stride) = (type.bits / 8, other.bits / 8)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: min(blockColumns, tile.width)) {
      values in
      forEachSegment(of: tile) { start, count, scale in
        let part = UnsafeMutableBufferPointer(rebasing: values[..<count])
        let bytes = UnsafeRawBufferPointer(rebasing: codes[start * step..<(start + count) * step])
        codec.decode(bytes, into: part, level: level)
        for index in 0..<count { part[index] *= scale }
        result.encode(
          UnsafeBufferPointer(part),
          into: UnsafeMutableRawBufferPointer(
            rebasing: target[start * stride..<(start + count) * stride]), level: level)
      }
    }
  }

  /// Calls `body` for each run of elements that are adjacent in the tile and share a scale, with
  /// where it starts in the tile, its length and the scale.
  func forEachSegment(
    of tile: MatrixTile, _ body: (_ start: Int, _ count: Int, _ scale: Float) -> Void
  ) {
    let gridColumns = (tile.width + blockColumns - 1) / blockColumns
    var start = 0
    for row in tile.rows {
      let grid = row / blockRows * gridColumns
      var column = tile.columns.lowerBound
      while column < tile.columns.upperBound {
        let block = column / blockColumns
        let count = min((block + 1) * blockColumns, tile.columns.upperBound) - column
        body(start, count, values[grid + block])
        start += count
        column += count
      }
    }
  }
}
