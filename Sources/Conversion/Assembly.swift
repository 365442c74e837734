public import Formats
public import Platform
public import Tensors

/// How an output tensor is put together from rows of others.
///
/// The output is seen as a matrix whose columns are its innermost dimension; every row comes from
/// one row of a source, or, transposed, from one column.
public struct Assembly: Sendable, Hashable {
  /// A tensor that rows are taken from.
  public struct Part: Sendable, Hashable {
    /// The stored tensor.
    public let tensor: StoredTensor
    /// Its grid of scales and their block, where it is FP8.
    public let scales: StoredTensor?
    /// Rows and columns that share a scale.
    public let block: BlockSize?

    /// Names a source.
    public init(_ tensor: StoredTensor, scales: StoredTensor? = nil, block: BlockSize? = nil) {
      self.tensor = tensor
      self.scales = scales
      self.block = block
    }
  }

  /// Which rows of the parts become the output's.
  public enum Rows: Sendable, Hashable {
    /// All rows of one part after the other.
    case stacked
    /// Of every `period` rows of the one part, `count` from `first` on.
    case slices(first: Int, count: Int, period: Int)
    /// The same, each slice transposed.
    case transposedSlices(first: Int, count: Int, period: Int)
    /// Slices of the first part transposed back, each followed by a slice of the second part: the
    /// sizes are rows of the output, columns of both parts' rows following from them.
    case joined(keys: Int, values: Int)
  }

  /// The sources in order.
  public let parts: [Part]
  /// What is taken of them.
  public let rows: Rows

  /// Names sources and what is taken of them.
  public init(parts: [Part], rows: Rows) {
    self.parts = parts
    self.rows = rows
  }

  /// The word that reports use.
  var name: String {
    switch rows {
    case .stacked: parts.count == 1 ? "converted" : "stacked"
    case .slices: "split"
    case .transposedSlices: "split and transposed"
    case .joined: "joined"
    }
  }
}

extension Assembly {
  /// Rows of the assembled tensor, seen as a matrix, in F32: (rows.count, columns).
  ///
  /// - Parameter shape: the assembled tensor's own.
  /// - Throws: `.inputOutput` where reading fails.
  public func values(
    shape: Shape, rows: Range<Int>, from inventory: Inventory
  ) throws(Fault) -> ByteBuffer {
    let columns = shape.dimensions.last ?? 1
    guard let entry = OutputLayout.Entry(name: "", type: .f32, shape: shape) else {
      preconditionFailure("a tensor that is stored has a size")
    }
    let result = ByteBuffer(count: rows.count * columns * MemoryLayout<Float>.size)
    let chunk = AssemblyProducer.chunk
    let areas = (0..<3).map { _ in ByteBuffer(count: chunk * MemoryLayout<Float>.size) }
    try AssemblyProducer(
      assembly: self, entry: entry,
      source: RowSource(inventory: inventory, scratch: areas[0].bytes) { _ in },
      values: areas[1].bytes.bindMemory(to: Float.self),
      turned: areas[2].bytes.bindMemory(to: Float.self)
    ).produce(rows: rows, columns: 0..<columns, into: result.bytes)
    withExtendedLifetime(areas) {}
    return result
  }
}
