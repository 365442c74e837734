internal import CKernels
internal import Tensors

/// A right matrix B (k, n) that is packed once and then multiplied with many left ones.
///
/// Elements are summed as `MatrixProduct` says, with the same bound. One thread uses it at a time,
/// hence `@unchecked`.
package final class PackedMatrix: @unchecked Sendable {
  private let memory: ByteBuffer
  private let driver: ProductDriver?
  private let mostDepth: Int
  private let mostColumns: Int
  /// What was packed last, for the level that takes it from there.
  private var source: FloatMatrix?
  private var isTransposed = false

  /// Makes room for (mostDepth, mostColumns) values.
  package init(
    mostDepth: Int, mostColumns: Int, scratch: ProductScratch, level: KernelLevel = .best
  ) {
    driver = ProductDriver(level, scratch)
    self.mostDepth = mostDepth
    self.mostColumns = PackedMatrix.padded(mostColumns)
    let count = PackedMatrix.byteCount(mostDepth: mostDepth, mostColumns: mostColumns)
    memory = ByteBuffer(count: driver == nil ? 0 : count)
  }

  /// Whole panels of the widest kind.
  private static func padded(_ columns: Int) -> Int {
    (columns + ProductScratch.mostColumns - 1) / ProductScratch.mostColumns
      * ProductScratch.mostColumns
  }

  /// Bytes that one takes.
  package static func byteCount(mostDepth: Int, mostColumns: Int) -> Int {
    let pieces = (mostDepth + ProductDriver.depth - 1) / ProductDriver.depth
    return pieces * ProductDriver.depth * padded(mostColumns) * MemoryLayout<Float>.stride
  }

  /// B = b (k, n), which must stay as it is until the last product with it.
  package func pack(_ b: FloatMatrix) {
    set(b, transposed: false)
    pack { columns, depth, panel, kernels in
      kernels.pointee.pack_straight(
        b.base + depth.lowerBound * b.stride + columns.lowerBound, b.stride, columns.count,
        depth.count, panel)
    }
  }

  /// B = bᵀ for b (n, k), which must stay as it is until the last product with it.
  package func pack(transposed b: FloatMatrix) {
    set(b, transposed: true)
    pack { columns, depth, panel, kernels in
      kernels.pointee.pack_transposed(
        b.base + columns.lowerBound * b.stride + depth.lowerBound, b.stride, columns.count,
        depth.count, panel)
    }
  }

  private func set(_ b: FloatMatrix, transposed: Bool) {
    precondition((transposed ? b.columns : b.rows) <= mostDepth)
    precondition((transposed ? b.rows : b.columns) <= mostColumns)
    (source, isTransposed) = (b, transposed)
  }

  private var depth: Int { source.map { isTransposed ? $0.columns : $0.rows } ?? 0 }
  private var columns: Int { source.map { isTransposed ? $0.rows : $0.columns } ?? 0 }

  /// Where the terms from `start` on are packed.
  private func panels(from start: Int) -> UnsafeMutablePointer<Float> {
    memory.bytes.assumingMemoryBound(to: Float.self).baseAddress! + start * mostColumns
  }

  private func pack(
    _ body: (
      Range<Int>, Range<Int>, UnsafeMutablePointer<Float>, UnsafePointer<fathom_kernels>
    ) -> Void
  ) {
    guard let driver else { return }
    driver.scratch.timed(\.unpacking) {
      for start in stride(from: 0, to: depth, by: ProductDriver.depth) {
        let piece = start..<min(start + ProductDriver.depth, depth)
        driver.forEachPanel(of: 0..<columns, in: panels(from: start)) { columns, panel in
          body(columns, piece, panel, driver.kernels)
        }
      }
    }
  }

  /// a (m, k′) · the first k′ rows and n′ columns of B → c (m, n′), or added to what c holds.
  package func multiply(_ a: FloatMatrix, into c: MutableFloatMatrix, adding: Bool = false) {
    precondition(a.rows == c.rows && a.columns > 0)
    precondition(a.columns <= depth && c.columns <= columns)
    guard let driver else {
      multiplyPlainly(a, into: c, adding: adding)
      return
    }
    for top in stride(from: 0, to: a.rows, by: ProductDriver.leftRows) {
      let rows = top..<min(top + ProductDriver.leftRows, a.rows)
      for start in stride(from: 0, to: a.columns, by: ProductDriver.depth) {
        let piece = start..<min(start + ProductDriver.depth, a.columns)
        driver.multiply(
          ProductDriver.part(of: a, rows, piece), 0..<c.columns, panels: panels(from: start),
          into: c.rows(rows), adding: adding || start > 0)
      }
    }
  }

  private func multiplyPlainly(_ a: FloatMatrix, into c: MutableFloatMatrix, adding: Bool) {
    guard let b = source else { return }
    for row in 0..<c.rows {
      for column in 0..<c.columns {
        let sum = PlainProduct.sum(
          a.base + row * a.stride, b.base + column * (isTransposed ? b.stride : 1),
          bStep: isTransposed ? 1 : b.stride, count: a.columns)
        c.base[row * c.stride + column] = adding ? c.base[row * c.stride + column] + sum : sum
      }
    }
  }
}
