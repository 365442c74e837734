public import Formats
public import Tensors

/// What turns the codes of a matrix into numbers: value = code × scale of its block.
public struct Scaling: Sendable, Hashable {
  /// The grid: (⌈rows / block rows⌉, ⌈columns / block columns⌉), seen as a matrix.
  public let scales: StoredTensor
  /// Rows and columns of the matrix that share a scale.
  public let block: BlockSize

  /// Element types that a grid of scales may have.
  public static let types: Set<ElementType> = [.f32, .bf16, .f16, .f8E8M0]

  /// Nil where the grid is not that of a matrix (rows, columns), or has no numbers for scales.
  public init?(_ scales: StoredTensor, block: BlockSize, rows: Int, columns: Int) {
    guard Scaling.types.contains(scales.type),
      scales.shape.dimensions == Scaling.grid(block, rows: rows, columns: columns)
    else { return nil }
    self.scales = scales
    self.block = block
  }

  /// Rows and columns of the grid that a matrix has, a cut block at an edge counting whole.
  static func grid(_ block: BlockSize, rows: Int, columns: Int) -> [Int] {
    [(rows + block.rows - 1) / block.rows, (columns + block.columns - 1) / block.columns]
  }

  /// Calls `body` for every stored tensor of it.
  public func forEachStored(_ body: (StoredTensor) -> Void) { body(scales) }

  /// Every stored tensor of it.
  public var stored: [StoredTensor] {
    var stored: [StoredTensor] = []
    forEachStored { stored.append($0) }
    return stored
  }
}
