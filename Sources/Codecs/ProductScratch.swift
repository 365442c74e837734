internal import CKernels
internal import Tensors

/// Memory that a product needs while it runs: one per worker, made once and used again, because
/// the first touch of fresh memory costs more than the product of a small tile.
///
/// One call uses it at a time, hence `@unchecked`.
package final class ProductScratch: @unchecked Sendable {
  private let memory = ByteBuffer(count: ProductScratch.byteCount)
  /// Panels of the right matrix: 512 KiB.
  let panels: UnsafeMutablePointer<Float>
  /// Decoded rows on their way into a panel.
  let rows: UnsafeMutablePointer<Float>
  /// A part of the left matrix.
  let left: UnsafeMutablePointer<Float>

  private static let panelFloats = ProductDriver.stripColumns * ProductDriver.depth
  /// Columns of the widest panel.
  static let mostColumns = 32

  /// Bytes that each takes.
  package static let byteCount =
    (panelFloats + (mostColumns + ProductDriver.leftRows) * Int(FATHOM_ROW_STRIDE))
    * MemoryLayout<Float>.stride

  /// Allocates the memory, 1.6 MiB.
  package init() {
    panels = memory.bytes.assumingMemoryBound(to: Float.self).baseAddress!
    rows = panels + ProductScratch.panelFloats
    left = rows + ProductScratch.mostColumns * Int(FATHOM_ROW_STRIDE)
  }
}

extension ProductDriver {
  /// nil for the level without kernels.
  init?(_ level: KernelLevel, _ scratch: ProductScratch) {
    guard let kernels = level.kernels else { return nil }
    self.init(kernels: kernels, scratch: scratch)
  }
}
