internal import CKernels
internal import Tensors

/// Decodes pieces of a weight's rows, with what all pieces share looked up once.
struct RowDecoder {
  private let weights: WeightMatrix
  private let bytes: UnsafeRawBufferPointer
  private let codec: Codec
  /// The fewest elements that fill whole bytes, and those bytes: asking the type takes a look-up,
  /// which costs more than the decoding of a short piece.
  private let groupElements: Int
  private let groupBytes: Int
  private let level: KernelLevel
  private let kernels: UnsafePointer<fathom_kernels>?
  private let blockKernel: fathom_ggml_decode?

  /// The weight's storage must outlive the decoder.
  init(_ weights: WeightMatrix, _ level: KernelLevel) {
    guard let codec = Codec.codec(for: weights.type) else {
      preconditionFailure("\(weights.type.rawValue) has no codec")
    }
    self.weights = weights
    self.bytes = weights.bytes
    self.codec = codec
    let type = weights.type
    groupElements =
      type.block?.elements ?? [1, 2, 4].first { type.byteCount(elements: $0) != nil } ?? 8
    groupBytes = type.byteOffset(of: groupElements)
    blockKernel = type.block.flatMap { fathom_ggml_decoder($0.id, level.rawValue) }
    self.level = level
    self.kernels = level.kernels
  }

  /// Some columns of one row → values (columns.count), scaled where the matrix has scales.
  ///
  /// Block types start and end between blocks.
  func decode(row: Int, columns: Range<Int>, into values: UnsafeMutablePointer<Float>) {
    let start = row * weights.columns + columns.lowerBound
    let from = start / groupElements * groupBytes
    let to = (start + columns.count) / groupElements * groupBytes
    let codes = UnsafeRawBufferPointer(rebasing: bytes[from..<to])
    let target = UnsafeMutableBufferPointer(start: values, count: columns.count)
    if let blockKernel {
      blockKernel(
        codes.baseAddress!.assumingMemoryBound(to: UInt8.self), columns.count / groupElements,
        values)
    } else if let scales = weights.scales, let kernels, weights.type == .f8E4M3 {
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
      codec.decodeUnchecked(codes, into: target, level: level)
    }
  }
}
