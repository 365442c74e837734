public import Tensors

/// Scales of a block-quantized matrix: one per `blockRows` × `blockColumns` tile, edges cut short.
public struct BlockScales: Sendable {
  /// Scale factors in F32, row-major (⌈rows / blockRows⌉, ⌈columns / blockColumns⌉).
  public let values: [Float]
  /// Rows of the weight that share a scale.
  public let blockRows: Int
  /// Columns of the weight that share a scale.
  public let blockColumns: Int

  /// Makes a grid; the number of values must follow from the matrix that it belongs to.
  public init(values: [Float], blockRows: Int, blockColumns: Int) {
    precondition(blockRows > 0 && blockColumns > 0)
    self.values = values
    self.blockRows = blockRows
    self.blockColumns = blockColumns
  }
}

/// A weight as it is stored, with what is needed to decode it: (rows, columns), row-major, where
/// rows are output features and columns input features, as in `y = x · Wᵀ`.
public struct WeightMatrix: Sendable {
  /// Storage of the elements.
  public let type: ElementType
  /// Output features.
  public let rows: Int
  /// Input features.
  public let columns: Int
  /// The stored bytes, rows × columns elements of `type`.
  public let storage: ByteBuffer
  /// Where the matrix starts in `storage`.
  public let offset: Int
  /// Scales, where the type is block-quantized with a grid beside it.
  public let scales: BlockScales?

  /// Wraps stored bytes; the sizes must agree.
  public init(
    type: ElementType, rows: Int, columns: Int, storage: ByteBuffer, offset: Int = 0,
    scales: BlockScales? = nil
  ) {
    let count = type.byteCount(elements: rows * columns)
    precondition(count.map { offset >= 0 && offset + $0 <= storage.count } ?? false)
    if let scales {
      let gridRows = (rows + scales.blockRows - 1) / scales.blockRows
      let gridColumns = (columns + scales.blockColumns - 1) / scales.blockColumns
      precondition(scales.values.count == gridRows * gridColumns)
    }
    self.type = type
    self.rows = rows
    self.columns = columns
    self.storage = storage
    self.offset = offset
    self.scales = scales
  }

  /// The matrix' own bytes.
  public var bytes: UnsafeRawBufferPointer {
    let count = type.byteCount(elements: rows * columns) ?? 0
    return UnsafeRawBufferPointer(rebasing: storage.bytes[offset..<offset + count])
  }
}
