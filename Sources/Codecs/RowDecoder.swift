internal import CKernels
internal import Tensors

/// Decodes pieces of a weight's rows, with what all pieces share looked up once.
struct RowDecoder {
  private let weights: WeightMatrix
  private let bytes: UnsafeRawBufferPointer
  private let codec: Codec
  private let level: KernelLevel
  private let kernels: UnsafePointer<fathom_kernels>?

  /// The weight's storage must outlive the decoder.
  init(_ weights: WeightMatrix, _ level: KernelLevel) {
    guard let codec = Codec.codec(for: weights.type) else {
      preconditionFailure("\(weights.type.rawValue) has no codec")
    }
    self.weights = weights
    self.bytes = weights.bytes
    self.codec = codec
    self.level = level
    self.kernels = level.kernels
  }

  /// Some columns of one row → values (columns.count), scaled where the matrix has scales.
  func decode(row: Int, columns: Range<Int>, into values: UnsafeMutablePointer<Float>) {
    let (start, type) = (row * weights.columns + columns.lowerBound, weights.type)
    let piece = type.byteOffset(of: start)..<type.byteOffset(of: start + columns.count)
    let codes = UnsafeRawBufferPointer(rebasing: bytes[piece])
    let target = UnsafeMutableBufferPointer(start: values, count: columns.count)
    if let scales = weights.scales, let kernels, weights.type == .f8E4M3 {
      // The most frequent case by far: the general one costs as much as the kernel itself here.
      let tile = MatrixTile(rows: row..<row + 1, columns: columns, width: weights.columns)
      scales.forEachSegment(of: tile) { start, count, scale in
        kernels.pointee.scale_e4m3_f32(
          codes.baseAddress! + start, scale, values + start, count)
      }
    } else if let scales = weights.scales {
      scales.decode(
        codes, type: weights.type,
        tile: MatrixTile(rows: row..<row + 1, columns: columns, width: weights.columns),
        into: target, level: level)
    } else {
      codec.decode(codes, into: target, level: level)
    }
  }
}
