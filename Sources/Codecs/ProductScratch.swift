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
  /// Floats from one of them to the next: not a power of two, so that they do not meet in the same
  /// sets of the first-level cache.
  static let rowStride = ProductDriver.depth + 16

  /// Where the time of what is done with it goes; nil where nobody asks.
  package var times: ProductTimes?

  private static let panelFloats = ProductDriver.stripColumns * ProductDriver.depth
  /// Columns of the widest panel.
  static let mostColumns = 32

  /// Bytes that each takes.
  package static let byteCount =
    (panelFloats + mostColumns * rowStride) * MemoryLayout<Float>.stride

  /// Allocates the memory, 0.6 MiB.
  package init() {
    panels = memory.bytes.assumingMemoryBound(to: Float.self).baseAddress!
    rows = panels + ProductScratch.panelFloats
  }
}

extension ProductDriver {
  /// nil for the level without kernels.
  init?(_ level: KernelLevel, _ scratch: ProductScratch) {
    guard let kernels = level.kernels else { return nil }
    self.init(kernels: kernels, scratch: scratch)
  }
}
