/// What turns the codes of a block-quantized matrix into values: a grid of scales, one per
/// `blockRows` × `blockColumns` tile, edges cut short, and what is subtracted before or added after.
///
/// Values are computed in F32, each step rounded, as the peers compute them for F32 scales:
/// - FP8 blocks, MXFP4, MXFP8: code · scale, exact where the scale is a power of two;
/// - NVFP4 of compressed-tensors: code · (scale / global scale), see `divided(by:)`;
/// - compressed-tensors' integers: (code − zero) · scale, exact before the product's rounding;
/// - MLX affine: code · scale + bias, the product rounded before the sum.
///
/// For 16-bit scales the peers take each step in that type. compressed-tensors' integers and
/// MXFP4 have one rounding, so that values rounded to the type are the peer's very bytes; NVFP4 is
/// computed in F32 there as well. `mlx.core.dequantize` rounds both product and sum to the scales'
/// type: a value here is nearer to the real number, by up to 2⁻⁸ · |code · scale| for BF16 and 2⁻¹¹ of
/// it for F16, besides the sum's own rounding.
package struct BlockScales: Sendable {
  /// What a code is corrected by besides its scale.
  package enum Offset: Sendable {
    /// value = code · scale
    case none
    /// value = (code − zero) · scale, the same zero everywhere: 2^(bits − 1) for signed integers
    /// that are stored without sign.
    case zero(Float)
    /// value = (code − zero) · scale, one zero per block.
    case zeros([Float])
    /// value = code · scale + bias, one bias per block.
    case biases([Float])
  }

  /// Scale factors in F32, row-major (⌈(firstRow + rows) / blockRows⌉, ⌈columns / blockColumns⌉).
  package let values: [Float]
  /// What codes are corrected by; its grids have the shape of the scales.
  package let offset: Offset
  /// Rows of the weight that share a scale.
  package let blockRows: Int
  /// Columns of the weight that share a scale.
  package let blockColumns: Int
  /// Rows of the first block that lie above the matrix: it may start anywhere in a block.
  package let firstRow: Int

  /// Makes a grid; the number of values must follow from the matrix that it belongs to.
  package init(
    values: [Float], offset: Offset = .none, blockRows: Int, blockColumns: Int, firstRow: Int = 0
  ) {
    precondition(blockRows > 0 && blockColumns > 0 && (0..<blockRows).contains(firstRow))
    switch offset {
    case .none, .zero: break
    case .zeros(let grid), .biases(let grid): precondition(grid.count == values.count)
    }
    self.values = values
    self.offset = offset
    self.blockRows = blockRows
    self.blockColumns = blockColumns
    self.firstRow = firstRow
  }

  /// The same grid with each scale divided by a number, rounded: NVFP4's global scale.
  package func divided(by divisor: Float) -> BlockScales {
    BlockScales(
      values: values.map { $0 / divisor }, offset: offset, blockRows: blockRows,
      blockColumns: blockColumns, firstRow: firstRow)
  }

  /// The same grid with each scale multiplied by a number, rounded: ModelOpt's NVFP4.
  package func multiplied(by factor: Float) -> BlockScales {
    BlockScales(
      values: values.map { $0 * factor }, offset: offset, blockRows: blockRows,
      blockColumns: blockColumns, firstRow: firstRow)
  }

  /// A grid of one row of blocks for each row, with a block of its own for each column.
  ///
  /// - Parameter groups: the block that each column has had, in any order.
  package func ofColumns(in groups: [Int], rows: Int) -> BlockScales {
    precondition(blockRows == 1 && rows > 0 && values.count % rows == 0)
    let width = values.count / rows
    func spread(_ grid: [Float]) -> [Float] {
      [Float](unsafeUninitializedCapacity: rows * groups.count) { buffer, count in
        for row in 0..<rows {
          for (column, group) in groups.enumerated() {
            buffer[row * groups.count + column] = grid[row * width + group]
          }
        }
        count = rows * groups.count
      }
    }
    let offset: Offset =
      switch offset {
      case .none, .zero: offset
      case .zeros(let grid): .zeros(spread(grid))
      case .biases(let grid): .biases(spread(grid))
      }
    return BlockScales(values: spread(values), offset: offset, blockRows: 1, blockColumns: 1)
  }

  /// Blocks side by side in a matrix of so many columns.
  func gridColumns(width: Int) -> Int { (width + blockColumns - 1) / blockColumns }

  /// Blocks one above the other in the first so many rows.
  func gridRows(_ rows: Int) -> Int { (firstRow + rows + blockRows - 1) / blockRows }

  /// Where the scales of a row start in the grid.
  func gridStart(row: Int, width: Int) -> Int {
    (firstRow + row) / blockRows * gridColumns(width: width)
  }

  /// The value of a code in the block with this index.
  func value(of code: Float, block: Int) -> Float {
    switch offset {
    case .none: code * values[block]
    case .zero(let zero): (code - zero) * values[block]
    case .zeros(let zeros): (code - zeros[block]) * values[block]
    case .biases(let biases): code * values[block] + biases[block]
    }
  }
}
