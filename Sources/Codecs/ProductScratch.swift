internal import CKernels

/// Memory that a product needs while it runs: one per worker, made once and used again, because
/// the first touch of fresh memory costs more than the product of a small tile.
///
/// One call uses it at a time, hence `@unchecked`.
public final class ProductScratch: @unchecked Sendable {
  private let memory: UnsafeMutableRawPointer
  /// Panels of the right matrix: 256 KiB.
  let panels: UnsafeMutablePointer<Float>
  /// Decoded rows on their way into a panel.
  let rows: UnsafeMutablePointer<Float>
  /// A block of the left matrix.
  let left: UnsafeMutablePointer<Float>

  /// Allocates the memory, 308 KiB.
  public init() {
    let panelFloats = ProductDriver.stripColumns * ProductDriver.depth
    let (mostColumns, mostRows) = (32, 12)
    let stride = Int(FATHOM_ROW_STRIDE)
    let floats = panelFloats + (mostColumns + mostRows) * stride
    memory = .allocate(byteCount: floats * MemoryLayout<Float>.stride, alignment: 64)
    panels = memory.bindMemory(to: Float.self, capacity: floats)
    panels.initialize(repeating: 0, count: floats)
    rows = panels + panelFloats
    left = rows + mostColumns * stride
  }

  deinit { memory.deallocate() }
}

extension ProductDriver {
  /// nil for the level without kernels.
  init?(_ level: KernelLevel, _ scratch: ProductScratch) {
    guard let kernels = level.kernels else { return nil }
    self.init(kernels: kernels, scratch: scratch)
  }
}
