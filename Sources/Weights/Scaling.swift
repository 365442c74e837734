package import Codecs
package import Formats
package import Tensors

/// What turns the codes of a matrix into numbers: the grids that are stored beside it.
package struct Scaling: Sendable, Hashable {
  /// What the grids are.
  package enum Kind: Sendable, Hashable {
    /// value = code × scale of its block.
    case blocks(BlockSize)
    /// Groups of adjacent columns, whose arithmetic a scheme knows.
    case groups(GroupScheme)
    /// value = what is stored, whatever its type, times one number, as llama.cpp has it.
    case number
  }

  /// What the grids are.
  package let kind: Kind
  /// (⌈rows / block rows⌉, ⌈columns / block columns⌉), seen as a matrix; of a number itself.
  package let scales: StoredTensor
  private let further: Further
  /// What every scale of a block is multiplied by: 1 but for formats that store a block's largest
  /// magnitude.
  package let factor: Float

  /// Element types that a grid of scales may have.
  package static let types: [ElementType] = [.f32, .bf16, .f16, .f8E8M0, .f8E4M3]

  /// Blocks; nil where the grid is not that of a matrix (rows, columns), or has no numbers for scales.
  package init?(
    _ scales: StoredTensor, block: BlockSize, rows: Int, columns: Int, factor: Float = 1
  ) {
    guard Scaling.types.contains(scales.type),
      scales.shape.dimensions == Scaling.grid(block, rows: rows, columns: columns)
    else { return nil }
    kind = .blocks(block)
    self.scales = scales
    further = .none
    self.factor = factor
  }

  /// Groups; nil where the grids are not those of a matrix (rows, columns), or have no numbers for
  /// scales.
  package init?(
    _ scales: StoredTensor, offsets: StoredTensor? = nil, globalScale: StoredTensor? = nil,
    columnGroups: StoredTensor? = nil, scheme: GroupScheme, rows: Int, columns: Int
  ) {
    guard Scaling.types.contains(scales.type), scheme.divides(columns: columns) else { return nil }
    let groups = scheme.groups(columns: columns)
    guard scales.shape.dimensions == [rows, groups] else { return nil }
    let expected: [Int]? =
      switch scheme.offsets {
      case .none: nil
      case .biases: [rows, groups]
      case .zeroPoints: [(rows * scheme.code.bits + 31) / 32, groups]
      }
    guard offsets?.shape.dimensions == expected else { return nil }
    if let offsets {
      let type = scheme.offsets == .biases ? scales.type : .i32
      guard offsets.type == type else { return nil }
    }
    if let globalScale {
      guard globalScale.shape.elementCount == 1, globalScale.type == .f32 else { return nil }
    }
    if let columnGroups {
      guard columnGroups.shape.dimensions == [columns], [.i32, .i64].contains(columnGroups.type)
      else { return nil }
    }
    kind = .groups(scheme)
    factor = 1
    self.scales = scales
    further =
      offsets == nil && globalScale == nil && columnGroups == nil
      ? .none : .some(offsets: offsets, globalScale: globalScale, columnGroups: columnGroups)
  }

  /// One number; nil where it is another tensor.
  package init?(number: StoredTensor) {
    guard number.type == .f32, number.shape.elementCount == 1 else { return nil }
    kind = .number
    scales = number
    further = .none
    factor = 1
  }

  /// What few schemes have, kept elsewhere: FP8 weights by the ten thousand have none of it.
  private indirect enum Further: Sendable, Hashable {
    case none
    case some(offsets: StoredTensor?, globalScale: StoredTensor?, columnGroups: StoredTensor?)
  }

  /// Biases, of the scales' shape and type, or words of zero points; nil where the scheme has none.
  package var offsets: StoredTensor? {
    if case .some(let offsets, _, _) = further { offsets } else { nil }
  }

  /// NVFP4's one number that scales are divided by, or multiplied as the scheme has it; nil where
  /// there is none.
  package var globalScale: StoredTensor? {
    if case .some(_, let globalScale, _) = further { globalScale } else { nil }
  }

  /// Each column's group, where groups are not adjacent columns; nil where they are.
  package var columnGroups: StoredTensor? {
    if case .some(_, _, let columnGroups) = further { columnGroups } else { nil }
  }

  /// Whether products can take codes as they are, with a grid of scales beside them.
  package var isGrid: Bool {
    // A scale for each number would take more than the numbers.
    columnGroups == nil && kind != .number
  }

  /// Rows and columns of the grid that a matrix has, a cut block at an edge counting whole.
  package static func grid(_ block: BlockSize, rows: Int, columns: Int) -> [Int] {
    [(rows + block.rows - 1) / block.rows, (columns + block.columns - 1) / block.columns]
  }

  /// The scheme of groups; nil for blocks.
  package var scheme: GroupScheme? { if case .groups(let scheme) = kind { scheme } else { nil } }

  /// Calls `body` for every stored tensor of it.
  package func forEachStored(_ body: (StoredTensor) -> Void) {
    body(scales)
    guard case .some(let offsets, let globalScale, let columnGroups) = further else { return }
    if let offsets { body(offsets) }
    if let globalScale { body(globalScale) }
    if let columnGroups { body(columnGroups) }
  }

  /// Every stored tensor of it.
  package var stored: [StoredTensor] {
    var stored: [StoredTensor] = []
    forEachStored { stored.append($0) }
    return stored
  }
}
