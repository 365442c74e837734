package import Platform
internal import Reports
internal import Tensors
package import Weights

/// What `fathom diff --headers` says: which tensors two checkpoints have, in which shapes and types.
package struct HeaderDiffReport: Sendable {
  /// Alike tensors of one pair of types.
  private struct Row {
    let types: String
    var tensors = 0
    var bytes = (a: 0, b: 0)
  }

  private let differences: HeaderDifferences
  private let names: (a: String, b: String)

  /// Wraps what was found with the names that the user gave.
  package init(_ differences: HeaderDifferences, a: String, b: String) {
    self.differences = differences
    names = (a, b)
  }

  /// Whether both have the same tensors in the same shapes, and one at least; types may differ.
  package var holds: Bool { failures == 0 && !differences.pairs.isEmpty }

  private var failures: Int {
    differences.onlyInA.count + differences.onlyInB.count + reshaped.count
  }

  private var reshaped: [HeaderDifferences.Pair] {
    differences.pairs.filter { $0.shapeA != $0.shapeB }
  }

  /// Pairs of types, those that differ first, then by bytes.
  private var rows: [Row] {
    var rows: [String: Row] = [:]
    for pair in differences.pairs {
      let (a, b) = (pair.typeA.rawValue, pair.typeB.rawValue)
      let types = a == b ? a : "\(a) → \(b)"
      rows[types, default: Row(types: types)].tensors += 1
      rows[types]?.bytes.a += pair.bytesA
      rows[types]?.bytes.b += pair.bytesB
    }
    return rows.values.sorted {
      let (x, y) = ($0.types.contains("→"), $1.types.contains("→"))
      return x != y ? x : ($0.bytes.a, $1.types) > ($1.bytes.a, $0.types)
    }
  }

  /// The table for people.
  ///
  /// - Parameter top: most names of tensors of each kind; 0 for all.
  package func text(top: Int) -> OutputText {
    var table = TextTable(
      [("TYPES", .left), ("TENSORS", .right), ("BYTES OF A", .right), ("BYTES OF B", .right)],
      namesFirst: true)
    for row in rows {
      table.add([
        row.types, Quantity.count(row.tensors), Quantity.bytes(row.bytes.a),
        Quantity.bytes(row.bytes.b),
      ])
    }
    var lines: [OutputText] = differences.pairs.isEmpty ? [] : table.lines + [""]
    for (missing, model) in [(differences.onlyInA, names.a), (differences.onlyInB, names.b)] {
      list(missing.map { OutputText("only in \(model): \($0)") }, top, into: &lines)
    }
    list(
      reshaped.map {
        "other shape: \($0.name) \($0.shapeA.description) and \($0.shapeB.description)"
      }, top, into: &lines)
    let other = differences.pairs.count { $0.typeA != $0.typeB }
    lines.append(
      """
      \(Quantity.plural(differences.pairs.count, "tensor")) in both, \
      \(Quantity.count(other)) of another type; weights were not read
      """)
    let (pass, fail): (OutputText, OutputText) = ("pass", "fail")
    let wrong = Quantity.plural(failures, "tensor")
    lines.append(
      holds
        ? "\(pass.painted(.green)): names and shapes agree"
        : "\(fail.painted(.red)): \(wrong) missing or of another shape")
    return lines.joined(separator: "\n") + "\n"
  }

  private func list(_ all: [OutputText], _ top: Int, into lines: inout [OutputText]) {
    let shown = top == 0 ? all[...] : all.prefix(top)
    lines += shown
    if shown.count < all.count {
      lines.append("… \(Quantity.plural(all.count - shown.count, "tensor")) more: --top 0")
    }
  }

  /// The document of schema `fathom.diff-headers/1`, a line for each tensor.
  package func writeJSON(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    try StreamedJSON.begin(
      [
        "schema": .string("fathom.diff-headers/1"), "a": .string(names.a), "b": .string(names.b),
        "verdict": .string(holds ? "pass" : "fail"),
      ], write)
    try StreamedJSON.list("onlyInA", differences.onlyInA, write) { .string($0.text) }
    try StreamedJSON.list("onlyInB", differences.onlyInB, write) { .string($0.text) }
    try StreamedJSON.list("tensors", differences.pairs, write) { pair in
      .object([
        "name": .string(pair.name.text),
        "shapeA": .array(pair.shapeA.dimensions.map { .integer($0) }),
        "shapeB": .array(pair.shapeB.dimensions.map { .integer($0) }),
        "typeA": .string(pair.typeA.rawValue), "typeB": .string(pair.typeB.rawValue),
        "bytesA": .integer(pair.bytesA), "bytesB": .integer(pair.bytesB),
      ])
    }
    try StreamedJSON.end(write)
  }
}
