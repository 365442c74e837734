package import Tensors

/// A weight as it is stored, with what is needed to decode it: (rows, columns), row-major, where
/// rows are output features and columns input features, as in `y = x · Wᵀ`.
package struct WeightMatrix: Sendable {
  /// Storage of the elements.
  package let type: ElementType
  /// Output features.
  package let rows: Int
  /// Input features.
  package let columns: Int
  /// The stored bytes, rows × rowBytes.
  package let storage: ByteBuffer
  /// Where the matrix starts in `storage`.
  package let offset: Int
  /// Bytes from one row to the next.
  package let rowBytes: Int
  /// Scales, where the elements are codes with a grid beside them.
  package let scales: BlockScales?

  /// Wraps stored bytes; the sizes must agree.
  ///
  /// - Parameter rowBytes: bytes from one row to the next where they are more than the elements
  ///   take, as in containers of 32 bits; a row of elements that share bytes starts at a byte.
  package init(
    type: ElementType, rows: Int, columns: Int, storage: ByteBuffer, offset: Int = 0,
    rowBytes: Int? = nil, scales: BlockScales? = nil
  ) {
    guard let rowBytes = rowBytes ?? type.byteCount(elements: columns) else {
      preconditionFailure("a row of \(columns) \(type.rawValue) does not fill whole bytes")
    }
    precondition(rows >= 0 && rowBytes >= type.bytesSpanned(elements: columns))
    precondition(offset >= 0 && offset + rows * rowBytes <= storage.count)
    if let scales {
      precondition(
        scales.values.count == scales.gridRows(rows) * scales.gridColumns(width: columns))
    }
    self.type = type
    self.rows = rows
    self.columns = columns
    self.storage = storage
    self.offset = offset
    self.rowBytes = rowBytes
    self.scales = scales
  }

  /// The matrix' own bytes.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: storage.bytes[offset..<offset + rows * rowBytes])
  }
}
