internal import CKernels

/// Cuts a product into blocks that fit the caches and gives them to a level's kernels.
///
/// c (m, n) = a (m, k) · B (k, n), where B is whatever `pack` puts into panels. A strip of at most
/// 256 columns of B by 256 along k (256 KiB as F32) is packed once and used for all rows of a.
struct ProductDriver {
  let kernels: UnsafePointer<fathom_kernels>
  let scratch: ProductScratch

  /// Columns of B that are packed at a time: a multiple of every level's panel.
  static let stripColumns = 256
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
    for first in stride(from: columns.lowerBound, to: columns.upperBound, by: Self.stripColumns) {
      let strip = first..<min(first + Self.stripColumns, columns.upperBound)
      for start in stride(from: 0, to: a.columns, by: Self.depth) {
        let depth = start..<min(start + Self.depth, a.columns)
        forEachPanel(of: strip, in: scratch.panels) { columns, panel in
          pack(columns, depth, panel)
        }
        multiply(
          a, strip, depth, panels: scratch.panels, into: c, adding: depth.lowerBound > 0)
      }
    }
  }

  /// All rows of a against a packed strip: some of its columns → the same ones of c.
  func multiply(
    _ a: FloatMatrix, _ strip: Range<Int>, _ depth: Range<Int>,
    panels: UnsafeMutablePointer<Float>, into c: MutableFloatMatrix, adding: Bool
  ) {
    let (blockRows, stride) = (kernels.pointee.block_rows, Int(FATHOM_ROW_STRIDE))
    for first in Swift.stride(from: 0, to: a.rows, by: blockRows) {
      let rows = min(blockRows, a.rows - first)
      var left = a.base + first * a.stride + depth.lowerBound
      if a.stride != stride {
        for row in 0..<rows {
          (scratch.left + row * stride).update(from: left + row * a.stride, count: depth.count)
        }
        left = UnsafePointer(scratch.left)
      }
      forEachPanel(of: strip, in: panels) { columns, panel in
        kernels.pointee.multiply(
          left, rows, panel, columns.count, depth.count,
          c.base + first * c.stride + columns.lowerBound, c.stride, adding ? 1 : 0)
      }
    }
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
