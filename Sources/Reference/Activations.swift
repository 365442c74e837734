internal import Tensors

/// F32 values of some tokens: (rows, columns), row-major, one row per token.
///
/// Workers fill disjoint rows or columns of it; whoever reads them does so after the workers have
/// been joined, hence `@unchecked`.
public final class Activations: @unchecked Sendable {
  /// Tokens.
  public let rows: Int
  /// Values of a token.
  public let columns: Int
  private let buffer: ByteBuffer

  /// Allocates (rows, columns) values, all zero.
  public init(rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0)
    self.rows = rows
    self.columns = columns
    buffer = ByteBuffer(count: rows * columns * MemoryLayout<Float>.stride)
    buffer.bytes.initializeMemory(as: Float.self, repeating: 0)
  }

  /// All values, row after row; the pointer is valid while this object is held by a variable or
  /// a parameter (Swift keeps those alive across uses of pointers, but not temporaries).
  public var values: UnsafeMutableBufferPointer<Float> {
    buffer.bytes.assumingMemoryBound(to: Float.self)
  }

  /// All values, row after row, as a copy.
  public var array: [Float] { withExtendedLifetime(self) { Array(values) } }

  /// The values of one token; see `values` for how long.
  public subscript(row: Int) -> UnsafeMutableBufferPointer<Float> {
    precondition(row >= 0 && row < rows)
    return UnsafeMutableBufferPointer(rebasing: values[row * columns..<(row + 1) * columns])
  }

  /// A copy with its own memory.
  public func copy() -> Activations {
    let result = Activations(rows: rows, columns: columns)
    _ = result.values.update(fromContentsOf: values)
    return result
  }

  /// Adds `other`, of the same size, value by value.
  func add(_ other: Activations) {
    precondition(other.rows == rows && other.columns == columns)
    let (sum, term) = (values, other.values)
    for index in 0..<sum.count { sum[index] += term[index] }
  }
}
