internal import CKernels
public import Tensors

extension BlockScales {
  /// codes (tile rows, tile columns), elements of `type` without gaps → values, same shape.
  ///
  /// value = code × scale of its block, both in F32 and rounded once: torch's `w.float() * scale`.
  public func decode(
    _ codes: UnsafeRawBufferPointer, type: ElementType, tile: MatrixTile,
    into values: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    convert(
      codes, type: type, tile: tile, to: .f32, into: UnsafeMutableRawBufferPointer(values),
      level: level)
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
    precondition(tile.count == 0 || lastBlock(of: tile) < values.count)
    guard tile.count > 0 else { return }
    if type == .f8E4M3, let kernels = level.kernels {
      if lookUp(codes, tile, other, target, kernels) { return }
      if let kernel = kernels.pointee.scaling(to: other) {
        let step = other.bits / 8
        forEachSegment(of: tile) { start, count, scale in
          kernel(codes.baseAddress! + start, scale, target.baseAddress! + start * step, count)
        }
        return
      }
    }
    convertThroughFloats(codes, type, tile, other, target, level)
  }

  /// The general way: decode a run of elements, multiply, encode.
  private func convertThroughFloats(
    _ codes: UnsafeRawBufferPointer, _ type: ElementType, _ tile: MatrixTile,
    _ other: ElementType, _ target: UnsafeMutableRawBufferPointer, _ level: KernelLevel
  ) {
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

  /// Blocks side by side in a matrix of so many columns.
  func gridColumns(width: Int) -> Int { (width + blockColumns - 1) / blockColumns }

  private func lastBlock(of tile: MatrixTile) -> Int {
    (tile.rows.upperBound - 1) / blockRows * gridColumns(width: tile.width)
      + (tile.columns.upperBound - 1) / blockColumns
  }

  /// Calls `body` for each run of elements that are adjacent in the tile and share a scale, with
  /// where it starts in the tile, its length and the scale.
  func forEachSegment(
    of tile: MatrixTile, _ body: (_ start: Int, _ count: Int, _ scale: Float) -> Void
  ) {
    let width = gridColumns(width: tile.width)
    var start = 0
    for row in tile.rows {
      let grid = row / blockRows * width
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
