internal import Codecs
internal import Tensors

/// Matrices of FP8 E4M3 codes with a scale for each block, as DeepSeek-V3 is published: a weight is
/// its code times the scale of the block, 128 × 128 codes, that it lies in.
///
/// Matrices are row-major; blocks at the lower and right edge are cut short. Decoded weights are
/// torch's `w.float() * scale`, and codes its `(w.float() / scale).to(torch.float8_e4m3fn)`.
public struct ScaledFP8: Hashable, Sendable {
  /// Which numbers scales are.
  public enum ScaleFormat: Hashable, Sendable {
    /// The largest magnitude in the block / 448, in F32.
    case f32
    /// The smallest power of two that is not below that (`scale_fmt: ue8m0`).
    case powerOfTwo
  }

  /// Codes and their scales.
  public struct Matrix: Hashable, Sendable {
    /// The codes (rows, columns), a byte each.
    public let codes: [UInt8]
    /// The scales (⌈rows / blockRows⌉, ⌈columns / blockColumns⌉).
    public let scales: [Float]
  }

  /// Rows that share a scale.
  public let blockRows: Int
  /// Columns that share a scale.
  public let blockColumns: Int
  private static let name = ElementType.f8E4M3.rawValue
  /// Sums of two of these and of a matrix' sides stay far from an overflow.
  private static let largestBlock = 1 << 32

  /// Blocks of (blockRows, blockColumns), as `weight_block_size` in a config has them.
  ///
  /// - Throws: where one of them is not positive, or is larger than 2³².
  public init(blockRows: Int = 128, blockColumns: Int = 128) throws(CodecError) {
    let sizes = 1...ScaledFP8.largestBlock
    guard sizes.contains(blockRows), sizes.contains(blockColumns) else {
      throw CodecError(
        ScaledFP8.name, "has impossible blocks", found: "\(blockRows) × \(blockColumns)")
    }
    self.blockRows = blockRows
    self.blockColumns = blockColumns
  }

  /// Scales that a matrix of (rows, columns) has, outermost dimension first.
  public func scaleShape(rows: Int, columns: Int) -> [Int] {
    [rows.divided(by: blockRows), columns.divided(by: blockColumns)]
  }

  /// codes and scales → weights (rows, columns)
  ///
  /// - Throws: where there are not as many codes and scales as the matrix has.
  public func decode(
    codes: [UInt8], scales: [Float], rows: Int, columns: Int
  ) throws(CodecError) -> [Float] {
    try require(codes.count, "codes", rows: rows, columns: columns)
    let shape = scaleShape(rows: rows, columns: columns)
    guard scales.count == shape[0] * shape[1] else {
      throw CodecError(
        ScaledFP8.name, "is given the wrong number of scales",
        expected: "\(shape[0]) × \(shape[1])", found: "\(scales.count)")
    }
    guard !codes.isEmpty else { return [] }
    let grid = BlockScales(values: scales, blockRows: blockRows, blockColumns: blockColumns)
    var weights = [Float](repeating: 0, count: codes.count)
    codes.withUnsafeBytes { codes in
      weights.withUnsafeMutableBufferPointer {
        grid.decode(
          codes, type: .f8E4M3, tile: MatrixTile(rows: 0..<rows, width: columns), into: $0)
      }
    }
    return weights
  }

  /// weights (rows, columns) → codes and scales
  ///
  /// A block of zeros, or of numbers so small that its scale would be zero, has the scale 1.
  ///
  /// - Throws: where there are not as many weights as the matrix has, or one is not finite.
  public func encode(
    _ weights: [Float], rows: Int, columns: Int, scales format: ScaleFormat = .f32
  ) throws(CodecError) -> Matrix {
    try require(weights.count, "weights", rows: rows, columns: columns)
    guard !weights.isEmpty else { return Matrix(codes: [], scales: []) }
    let quantizer = BlockQuantizer(
      blockRows: blockRows, blockColumns: blockColumns,
      scaleFormat: format == .f32 ? .f32 : .powerOfTwo)
    let shape = scaleShape(rows: rows, columns: columns)
    var scales = [Float](repeating: 0, count: shape[0] * shape[1])
    var codes = [UInt8](repeating: 0, count: weights.count)
    weights.withUnsafeBytes { weights in
      scales.withUnsafeMutableBufferPointer { scales in
        quantizer.findScales(weights, type: .f32, rows: rows, columns: columns, into: scales)
        codes.withUnsafeMutableBytes { codes in
          quantizer.encode(
            weights, type: .f32, rows: rows, columns: columns, scales: UnsafeBufferPointer(scales),
            into: codes)
        }
      }
    }
    guard let place = scales.firstIndex(where: { !$0.isFinite }) else {
      return Matrix(codes: codes, scales: scales)
    }
    throw CodecError(
      ScaledFP8.name, "has a weight that is not finite",
      found: "in block \(place / shape[1]), \(place % shape[1])")
  }

  /// Throws where a matrix has not so many elements, or no size at all.
  private func require(
    _ count: Int, _ what: String, rows: Int, columns: Int
  ) throws(CodecError) {
    let (product, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, count == product else {
      throw CodecError(
        ScaledFP8.name, "is given the wrong number of \(what)", expected: "\(rows) × \(columns)",
        found: "\(count)")
    }
  }
}

extension Int {
  /// How many times another number fits, begun ones counted; without an overflow near the end.
  fileprivate func divided(by other: Int) -> Int { self / other + (self % other > 0 ? 1 : 0) }
}
