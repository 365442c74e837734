internal import CKernels
internal import Tensors

/// E4M3 has 128 codes without sign, so a block has 128 results: on processors that look up 64
/// entries at once, a table per block is three times as fast as arithmetic on each element.
extension BlockScales {
  /// Entries of a table.
  private static let entries = 128
  /// Rows of a tile and columns of a block from which a table pays.
  private static let (fewestRows, fewestColumns) = (8, 32)

  /// Converts a tile by tables; false, with nothing done, where that is not possible or slower.
  func lookUp(
    _ codes: UnsafeRawBufferPointer, _ tile: MatrixTile, _ other: ElementType,
    _ target: UnsafeMutableRawBufferPointer, _ kernels: UnsafePointer<fathom_kernels>
  ) -> Bool {
    guard tile.rows.count >= BlockScales.fewestRows, blockColumns >= BlockScales.fewestColumns,
      other == .bf16 || other == .f16, let lookUp = kernels.pointee.look_up_16,
      let fill = kernels.pointee.scaling(to: other)
    else { return false }
    let blocks =
      tile.columns.lowerBound / blockColumns...(tile.columns.upperBound - 1) / blockColumns
    let firstColumns = (blocks.lowerBound + 1) * blockColumns - tile.columns.lowerBound
    let (width, columns) = (gridColumns(width: tile.width), tile.columns.count)
    let bands =
      (firstRow + tile.rows.lowerBound) / blockRows...(firstRow + tile.rows.upperBound - 1)
      / blockRows
    // A sign that the scale brings in, or a NaN's, would not be the code's own.
    let isUsable = bands.allSatisfy { band in
      blocks.allSatisfy { values[band * width + $0].bitPattern < Float.infinity.bitPattern }
    }
    guard isUsable else { return false }
    withUnsafeTemporaryAllocation(
      of: UInt16.self, capacity: BlockScales.entries * blocks.count
    ) { tables in
      for band in bands {
        for block in blocks {
          let table = tables.baseAddress! + BlockScales.entries * (block - blocks.lowerBound)
          fill(BlockScales.magnitudes, values[band * width + block], table, BlockScales.entries)
        }
        let first = band * blockRows - firstRow
        let rows = tile.rows.clamped(to: max(first, 0)..<first + blockRows)
        for row in rows {
          let start = (row - tile.rows.lowerBound) * columns
          lookUp(
            codes.baseAddress! + start, tables.baseAddress!, firstColumns, blockColumns,
            target.baseAddress! + 2 * start, columns)
        }
      }
    }
    return true
  }

  /// The codes 0 to 127.
  private static let magnitudes = [UInt8](0..<128)
}
