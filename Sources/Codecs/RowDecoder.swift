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
  /// Whether these are E4M3 codes with nothing but scales.
  private let isPlainlyScaled: Bool

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
    isPlainlyScaled =
      switch weights.scales?.offset {
      case .none?: type == .f8E4M3
      default: false
      }
    self.level = level
    self.kernels = level.kernels
  }

  /// Some columns of one row → values (columns.count), scaled where the matrix has scales.
  ///
  /// Block types start and end between blocks, other elements that share bytes start at a byte.
  func decode(row: Int, columns: Range<Int>, into values: UnsafeMutablePointer<Float>) {
    let from = row * weights.rowBytes + columns.lowerBound / groupElements * groupBytes
    let spanned = (columns.count + groupElements - 1) / groupElements * groupBytes
    let to = min(from + spanned, (row + 1) * weights.rowBytes)
    let codes = UnsafeRawBufferPointer(rebasing: bytes[from..<to])
    let target = UnsafeMutableBufferPointer(start: values, count: columns.count)
    if let blockKernel {
      blockKernel(
        codes.baseAddress!.assumingMemoryBound(to: UInt8.self), columns.count / groupElements,
        values)
    } else if let scales = weights.scales {
      let tile = MatrixTile(rows: row..<row + 1, columns: columns, width: weights.columns)
      if let kernels, isPlainlyScaled {
        // The most frequent case by far: the general one costs as much as the kernel itself here.
        scales.forEachSegment(of: tile) { start, count, block in
          kernels.pointee.scale_e4m3_f32(
            codes.baseAddress! + start, scales.values[block], values + start, count)
        }
      } else {
        scales.decodeRow(codes, codec: codec, tile: tile, into: target, level: level)
      }
    } else {
      codec.decodeUnchecked(codes, into: target, level: level)
    }
  }
}
