/// Rows and columns of a quantized block.
package struct BlockSize: Sendable, Hashable {
  /// Rows, output features.
  package let rows: Int
  /// Columns, input features.
  package let columns: Int

  /// DeepSeek-V3's blocks, used where neither source nor user names others.
  package static let deepSeek = BlockSize(rows: 128, columns: 128)

  /// Makes a size; both are positive.
  package init(rows: Int, columns: Int) {
    precondition(rows > 0 && columns > 0)
    self.rows = rows
    self.columns = columns
  }

  /// Reads `128x128`; returns nil for anything else.
  package init?(_ text: String) {
    let parts = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let rows = parts[0], let columns = parts[1],
      (1...Int(Int32.max)).contains(rows), (1...Int(Int32.max)).contains(columns)
    else { return nil }
    self.init(rows: rows, columns: columns)
  }
}
