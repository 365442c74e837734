package import Platform

/// Tensors, elements and bytes by type, with each type's share of the bytes.
package enum TypeTable {
  /// A type's row.
  package typealias Row = (type: String, tensors: Int, elements: Int, bytes: Int)

  /// The lines of the table, rows in the order given.
  package static func lines(_ rows: [Row]) -> [OutputText] {
    let all = max(rows.reduce(0) { $0 + $1.bytes }, 1)
    var table = TextTable([
      ("type", .left), ("tensors", .right), ("elements", .right), ("bytes", .right),
      ("share", .right),
    ])
    for row in rows {
      table.add([
        row.type, Quantity.count(row.tensors), Quantity.count(row.elements),
        Quantity.bytes(row.bytes),
        Quantity.fixed(100 * Double(row.bytes) / Double(all), digits: 1) + " %",
      ])
    }
    return table.lines
  }
}
