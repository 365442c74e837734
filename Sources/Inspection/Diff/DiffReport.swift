internal import Conversion
package import Platform
internal import Reports
internal import Tensors

/// What `fathom diff` says: two checkpoints' weights beside each other, the worst first.
package struct DiffReport: Sendable {
  /// A bound that the user set.
  package struct Limits: Sendable {
    /// Least signal to noise of every tensor, in decibels.
    package var minSQNR: Double?
    /// Largest absolute difference of any element.
    package var maxAbs: Double?

    /// Sets bounds; none of them where all are nil.
    package init(minSQNR: Double? = nil, maxAbs: Double? = nil) {
      self.minSQNR = minSQNR
      self.maxAbs = maxAbs
    }

    var isEmpty: Bool { minSQNR == nil && maxAbs == nil }
  }

  private let differences: WeightDifferences
  private let names: (a: String, b: String)
  private let limits: Limits

  /// Wraps what was found with the names that the user gave.
  package init(_ differences: WeightDifferences, a: String, b: String, limits: Limits) {
    self.differences = differences
    names = (a, b)
    self.limits = limits
  }

  /// Whether every bound holds: of all tensors, of which there is one at least, and none is missing,
  /// of another shape or not finite. Without bounds there is nothing to break.
  package var holds: Bool {
    limits.isEmpty || failures == 0 && !differences.tensors.isEmpty
  }

  private var failures: Int {
    differences.tensors.count(where: breaks) + differences.onlyInA.count
      + differences.onlyInB.count + differences.reshaped.count
  }

  private func breaks(_ tensor: WeightDifference) -> Bool {
    if limits.isEmpty || tensor.isIdentical { return false }
    if tensor.nonFinite > 0 { return true }
    if let least = limits.minSQNR, let sqnr = tensor.sqnr, sqnr < least { return true }
    if let most = limits.maxAbs, Double(tensor.maxAbs) > most { return true }
    return false
  }

  /// Sums over all compared tensors.
  private var overall: Difference {
    var sum = Difference()
    for tensor in differences.tensors { sum.add(tensor.difference) }
    return sum
  }

  // MARK: Text

  /// The table for people.
  ///
  /// - Parameter top: most rows; 0 for all.
  package func text(top: Int) -> OutputText {
    let all = differences.tensors
    let different = all.filter { !$0.isIdentical }
    var table = TextTable(
      [
        ("TENSOR", .left), ("TYPES", .left), ("SQNR dB", .right), ("COSINE", .right),
        ("MAX ABS", .right), ("EQUAL", .right), ("EQUAL BYTES", .right),
      ], namesFirst: true)
    let shown = top == 0 ? different : Array(different.prefix(top))
    for tensor in shown { table.add(cells(tensor)) }
    var lines: [OutputText] = shown.isEmpty ? [] : table.lines
    if shown.count < different.count {
      lines.append("… \(Quantity.plural(different.count - shown.count, "tensor")) more: --top 0")
    }
    if !lines.isEmpty { lines.append("") }
    for (names, model) in [(differences.onlyInA, names.a), (differences.onlyInB, names.b)] {
      guard let first = names.first else { continue }
      lines.append(
        """
        only in \(model): \(Quantity.plural(names.count, "tensor")), \
        \(first)\(names.count > 1 ? ", …" : "")
        """)
    }
    for tensor in differences.reshaped.prefix(20) {
      lines.append(
        "other shape: \(tensor.name) \(tensor.shapeA.description) and \(tensor.shapeB.description)")
    }
    lines.append(
      """
      \(Quantity.plural(all.count, "tensor")) compared, \
      \(Quantity.count(all.count - different.count)) identical, \
      \(Quantity.count(different.count)) different
      """)
    if !limits.isEmpty {
      let (pass, fail): (OutputText, OutputText) = ("pass", "fail")
      lines.append(
        holds
          ? pass.painted(.green)
          : "\(fail.painted(.red)): \(Quantity.plural(failures, "tensor")) out of bounds")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private func cells(_ tensor: WeightDifference) -> [String] {
    let (a, b) = (tensor.typeA.rawValue, tensor.typeB.rawValue)
    let bytes = tensor.equalBytes.map {
      Quantity.fixed(100 * Double($0) / Double(max(1, tensor.byteCount)), digits: 1) + " %"
    }
    return [
      tensor.name.text, a == b ? a : "\(a) ↔ \(b)",
      tensor.nonFinite > 0
        ? "\(tensor.nonFinite) NaN" : tensor.sqnr.map { Quantity.fixed($0, digits: 1) } ?? "–",
      Quantity.fixed(tensor.cosine, digits: 6), Quantity.significant(Double(tensor.maxAbs)),
      Quantity.fixed(100 * tensor.equalShare, digits: 1) + " %", bytes ?? "–",
    ]
  }

  // MARK: JSON

  /// The document of schema `fathom.diff/1`, a line for each tensor.
  package func writeJSON(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    let all = differences.tensors
    let sum = overall
    var head: JSONObject = [
      "schema": .string("fathom.diff/1"), "a": .string(names.a), "b": .string(names.b),
    ]
    if !limits.isEmpty {
      var bounds: JSONObject = [:]
      bounds["minSqnrDb"] = limits.minSQNR.map { .number($0) }
      bounds["maxAbsDifference"] = limits.maxAbs.map { .number($0) }
      head["verdict"] = .string(holds ? "pass" : "fail")
      head["limits"] = .object(bounds)
    }
    head["totals"] = .object([
      "compared": .integer(all.count), "identical": .integer(all.count(where: \.isIdentical)),
      "outOfBounds": .integer(limits.isEmpty ? 0 : failures),
    ])
    // Of the tensors that differ: those that do not need not be decoded.
    head["different"] = .object([
      "elements": .integer(sum.elements), "sqnrDb": DiffReport.json(sum.sqnr),
      "cosine": .number(sum.cosine), "maxAbsDifference": .number(Double(sum.maxAbs)),
    ])
    try StreamedJSON.begin(head, write)
    try StreamedJSON.list("onlyInA", differences.onlyInA, write) { .string($0.text) }
    try StreamedJSON.list("onlyInB", differences.onlyInB, write) { .string($0.text) }
    try StreamedJSON.list("reshaped", differences.reshaped, write) {
      .object([
        "name": .string($0.name.text), "shapeA": DiffReport.json($0.shapeA),
        "shapeB": DiffReport.json($0.shapeB),
      ])
    }
    try StreamedJSON.list("tensors", all, write, json)
    try StreamedJSON.end(write)
  }

  private func json(_ tensor: WeightDifference) -> JSONValue {
    .object([
      "name": .string(tensor.name.text), "shape": DiffReport.json(tensor.shape),
      "typeA": .string(tensor.typeA.rawValue), "typeB": .string(tensor.typeB.rawValue),
      "identical": .bool(tensor.isIdentical),
      "sqnrDb": tensor.nonFinite > 0 ? .null : DiffReport.json(tensor.sqnr),
      "cosine": .number(tensor.cosine), "maxAbsDifference": .number(Double(tensor.maxAbs)),
      "worstElement": tensor.difference.worstElement.map { .integer($0) } ?? .null,
      "equalValues": .number(tensor.equalShare),
      "equalBytes": tensor.equalBytes.map {
        .number(tensor.byteCount == 0 ? 1 : Double($0) / Double(tensor.byteCount))
      } ?? .null,
      "nonFinite": .integer(tensor.nonFinite),
    ])
  }

  private static func json(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }

  private static func json(_ shape: Shape) -> JSONValue {
    .array(shape.dimensions.map { .integer($0) })
  }
}
