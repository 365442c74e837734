internal import CKernels
package import Tensors

/// Turns weights into FP8 E4M3 codes with a scale per block, as DeepSeek-V3 is published.
///
/// A scale is the block's largest magnitude / 448 in F32, so that the largest weight gets the
/// largest code; a code is weight / scale in F32, rounded to nearest, ties to even: the bytes of
/// torch's `(w.float() / scale).to(torch.float8_e4m3fn)`.
///
/// - A block of zeros (or so small that the scale would be zero) has the scale 1, where DeepSeek's
///   formula would give 0 / 0: its codes are zeros with their signs.
/// - A block that holds an infinity or a NaN gets that as its scale, as torch's `amax` would, and
///   codes without meaning: the caller should refuse a scale that is not finite.
/// - FP8 → BF16 → FP8 gives the codes back wherever a block uses the code ±448, as blocks that were
///   quantized this way do; the scale comes back up to BF16's rounding of 448 × scale, and exactly
///   where BF16 holds that, as with powers of two. Zero blocks lose theirs.
package struct BlockQuantizer: Sendable {
  /// Which numbers may be scales.
  package enum ScaleFormat: Sendable {
    /// Any F32.
    case f32
    /// The smallest power of two that is not below amax / 448 (`scale_fmt: ue8m0`).
    case powerOfTwo
    /// Numbers of the weights' own type (F32, F16 or BF16), in which scales and codes are computed
    /// and rounded at each step: compressed-tensors 0.20 with llm-compressor's observer, whose FP8
    /// is by blocks or, with blocks of one whole row, per channel. A block of zeros has the type's
    /// epsilon as its scale.
    case sourceType
  }

  /// The largest E4M3 number.
  static let largest: Float = 448
  /// What the codes mean before they are scaled.
  private static let numbers = (0..<256).map { SmallFloat.e4m3.decode($0) }

  /// Rows that share a scale.
  package let blockRows: Int
  /// Columns that share a scale.
  package let blockColumns: Int
  /// Which numbers may be scales.
  package let scaleFormat: ScaleFormat

  /// Blocks of (blockRows, blockColumns), those at the lower and right edge cut short.
  package init(blockRows: Int, blockColumns: Int, scaleFormat: ScaleFormat) {
    precondition(blockRows > 0 && blockColumns > 0)
    self.blockRows = blockRows
    self.blockColumns = blockColumns
    self.scaleFormat = scaleFormat
  }

  /// Blocks side by side in a matrix of so many columns.
  package func gridColumns(columns: Int) -> Int { (columns + blockColumns - 1) / blockColumns }

  /// Blocks one above the other in so many rows.
  package func gridRows(rows: Int) -> Int { (rows + blockRows - 1) / blockRows }

  /// source (rows, columns), elements of `type`, the first row at a block's edge
  /// → scales (⌈rows / blockRows⌉, ⌈columns / blockColumns⌉)
  package func findScales(
    _ source: UnsafeRawBufferPointer, type: ElementType, rows: Int, columns: Int,
    into scales: UnsafeMutableBufferPointer<Float>, level: KernelLevel = .best
  ) {
    precondition(scales.count == gridRows(rows: rows) * gridColumns(columns: columns))
    scales.update(repeating: 0)
    forEachSegment(source, type: type, rows: rows, columns: columns, level: level) {
      values, _, grid in
      let largest = BlockQuantizer.largestMagnitude(values, level)
      scales[grid] = Float(bitPattern: max(scales[grid].bitPattern, largest))
    }
    let precision = precision(of: type)
    for index in 0..<scales.count {
      scales[index] = scale(largest: scales[index], precision)
    }
  }

  /// source (rows, columns) of `type` and scales from `findScales` → codes (rows, columns) of E4M3
  package func encode(
    _ source: UnsafeRawBufferPointer, type: ElementType, rows: Int, columns: Int,
    scales: UnsafeBufferPointer<Float>, into codes: UnsafeMutableRawBufferPointer,
    level: KernelLevel = .best
  ) {
    precondition(scales.count == gridRows(rows: rows) * gridColumns(columns: columns))
    precondition(codes.count == rows * columns)
    let precision = precision(of: type)
    let kernel = level.kernels?.pointee.dividing(in: precision)
    forEachSegment(source, type: type, rows: rows, columns: columns, level: level) {
      values, start, grid in
      if let kernel {
        kernel(values.baseAddress!, scales[grid], codes.baseAddress! + start, values.count)
        return
      }
      for index in 0..<values.count {
        let code = SmallFloat.e4m3.encode(precision.round(values[index] / scales[grid]))
        codes[start + index] = UInt8(truncatingIfNeeded: code)
      }
    }
  }

  /// The first element of a source (rows, columns) that its code (rows, columns) of E4M3 times its
  /// block's scale, as `findScales` gives it, is not; nil where all are what they were.
  package func firstChanged(
    _ source: UnsafeRawBufferPointer, type: ElementType, rows: Int, columns: Int,
    scales: UnsafeBufferPointer<Float>, codes: UnsafeRawBufferPointer, level: KernelLevel = .best
  ) -> Int? {
    precondition(codes.count == rows * columns)
    var changed: Int?
    forEachSegment(source, type: type, rows: rows, columns: columns, level: level) {
      values, start, grid in
      guard changed == nil else { return }
      for index in 0..<values.count
      where BlockQuantizer.numbers[Int(codes[start + index])] * scales[grid] != values[index] {
        changed = start + index
        return
      }
    }
    return changed
  }

  /// The type whose arithmetic is used.
  private func precision(of type: ElementType) -> Precision {
    guard scaleFormat == .sourceType else { return .f32 }
    guard let precision = Precision(type) else {
      preconditionFailure("\(type.rawValue) is not quantized")
    }
    return precision
  }

  /// The scale of a block with this largest magnitude.
  private func scale(largest: Float, _ precision: Precision) -> Float {
    let scale = precision.round(largest / BlockQuantizer.largest)
    if scale == 0 { return scaleFormat == .sourceType ? precision.epsilon : 1 }
    return scaleFormat == .powerOfTwo && scale.isFinite ? PowerOfTwo.roundingUp(scale) : scale
  }

  /// The bits of the largest magnitude, in whose order a NaN is larger than any number.
  static func largestMagnitude(
    _ values: UnsafeBufferPointer<Float>, _ level: KernelLevel
  ) -> UInt32 {
    if let kernels = level.kernels {
      return kernels.pointee.amax(values.baseAddress!, values.count)
    }
    return values.reduce(0) { max($0, $1.bitPattern & 0x7FFF_FFFF) }
  }

  /// Calls `body` for each run of adjacent elements in one block, decoded, with where it starts in
  /// the source and the index of its block in the grid.
  private func forEachSegment(
    _ source: UnsafeRawBufferPointer, type: ElementType, rows: Int, columns: Int,
    level: KernelLevel, _ body: (UnsafeBufferPointer<Float>, _ start: Int, _ grid: Int) -> Void
  ) {
    precondition(type.byteCount(elements: rows * columns) == source.count && type.bits >= 8)
    guard let codec = Codec.codec(for: type) else {
      preconditionFailure("\(type.rawValue) has no codec")
    }
    let (step, width) = (type.bits / 8, gridColumns(columns: columns))
    withUnsafeTemporaryAllocation(of: Float.self, capacity: min(columns, blockColumns)) { values in
      for row in 0..<rows {
        for column in stride(from: 0, to: columns, by: blockColumns) {
          let start = row * columns + column
          let count = min(blockColumns, columns - column)
          let part = UnsafeMutableBufferPointer(rebasing: values[..<count])
          codec.decode(
            UnsafeRawBufferPointer(rebasing: source[start * step..<(start + count) * step]),
            into: part, level: level)
          body(
            UnsafeBufferPointer(part), start, row / blockRows * width + column / blockColumns)
        }
      }
    }
  }
}

extension fathom_kernels {
  /// The kernel that divides and rounds to E4M3 in the arithmetic of a type.
  fileprivate func dividing(
    in precision: Precision
  ) -> @convention(c) (UnsafePointer<Float>, Float, UnsafeMutableRawPointer, Int) -> Void {
    switch precision {
    case .f32: divide_e4m3
    case .f16: divide_e4m3_f16
    case .bf16: divide_e4m3_bf16
    }
  }
}
