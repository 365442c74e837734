internal import CKernels

/// Cuts a product into blocks that fit the caches and gives them to a level's kernels.
///
/// c (m, n) = a (m, k) · B (k, n), where B is whatever `pack` puts into panels. A strip of at most
/// 256 columns of B by 512 along k (512 KiB) is packed once and meets at most 516 rows of a.
struct ProductDriver {
  let kernels: UnsafePointer<fathom_kernels>
  let scratch: ProductScratch

  /// Columns of B that are packed at a time: a multiple of every level's panel.
  static let stripColumns = 256
  /// Rows of a that meet a strip before the next is packed: a multiple of every level's block, but
  /// for the last.
  static let leftRows = 516
  /// Terms that are added up before their sum joins those before it.
  static let depth = Int(FATHOM_DEPTH)

  /// Packs some columns of B, at most a panel's, by some of its rows.
  typealias Pack = (
    _ columns: Range<Int>, _ depth: Range<Int>, _ panel: UnsafeMutablePointer<Float>
  ) -> Void

  /// a (m, k) · B (k, columns) → the same columns of c (m, …)
  func run(_ a: FloatMatrix, columns: Range<Int>, into c: MutableFloatMatrix, pack: Pack) {
    guard a.columns > 0 else {
      for row in 0..<a.rows {
        (c.base + row * c.stride + columns.lowerBound).update(repeating: 0, count: columns.count)
      }
      return
    }
    for top in stride(from: 0, to: a.rows, by: Self.leftRows) {
      let rows = top..<min(top + Self.leftRows, a.rows)
      for start in stride(from: 0, to: a.columns, by: Self.depth) {
        let depth = start..<min(start + Self.depth, a.columns)
        let left = ProductDriver.part(of: a, rows, depth)
        for first in stride(
          from: columns.lowerBound, to: columns.upperBound, by: Self.stripColumns)
        {
          let strip = first..<min(first + Self.stripColumns, columns.upperBound)
          scratch.timed(\.unpacking) {
            forEachPanel(of: strip, in: scratch.panels) { columns, panel in
              pack(columns, depth, panel)
            }
          }
          multiply(
            left, strip, panels: scratch.panels, into: c.rows(rows), adding: start > 0)
        }
      }
    }
  }

  /// Some terms of some rows.
  static func part(
    of a: FloatMatrix, _ rows: Range<Int>, _ depth: Range<Int>
  ) -> FloatMatrix {
    FloatMatrix(
      a.base + rows.lowerBound * a.stride + depth.lowerBound, rows: rows.count,
      columns: depth.count, stride: a.stride)
  }

  /// All rows of a left matrix against a packed strip of as many terms: some of its columns → the same
  /// ones of c.
  func multiply(
    _ left: FloatMatrix, _ strip: Range<Int>, panels: UnsafeMutablePointer<Float>,
    into c: MutableFloatMatrix, adding: Bool
  ) {
    let blockRows = kernels.pointee.block_rows
    scratch.timed(\.multiplying) {
      for first in stride(from: 0, to: left.rows, by: blockRows) {
        forEachPanel(of: strip, in: panels) { columns, panel in
          kernels.pointee.multiply(
            left.base + first * left.stride, left.stride, min(blockRows, left.rows - first), panel,
            columns.count, left.columns, c.base + first * c.stride + columns.lowerBound, c.stride,
            adding ? 1 : 0)
        }
      }
    }
    scratch.times?.operations += 2 * left.rows * left.columns * strip.count
  }

  /// Calls `body` with the columns of each panel of a strip and where it is packed.
  func forEachPanel(
    of strip: Range<Int>, in panels: UnsafeMutablePointer<Float>,
    _ body: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let width = kernels.pointee.panel_columns
    for first in stride(from: strip.lowerBound, to: strip.upperBound, by: width) {
      let panel = panels + (first - strip.lowerBound) * Self.depth
      body(first..<min(first + width, strip.upperBound), panel)
    }
  }
}
