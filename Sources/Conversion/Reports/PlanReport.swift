internal import Dialects
internal import Formats
public import Platform
internal import Reports
internal import Tensors
internal import Weights

/// What a conversion will write, as a document. It is given out in pieces: as one value, the plan
/// of 91,991 tensors would take several times its own memory.
public struct PlanReport {
  private let plan: Plan
  private let source: String
  private let output: String

  /// Wraps a plan with the names that the user gave.
  public init(_ plan: Plan, source: String, output: String) {
    self.plan = plan
    self.source = source
    self.output = output
  }

  /// Writes the table of tensors, the files and the totals.
  public func writeText(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    var table = TextTable(
      [
        ("TENSOR", .left), ("TYPE", .left), ("SHAPE", .left), ("BYTES", .right), ("FILE", .left),
        ("REASON", .left),
      ], namesFirst: true)
    for (file, index, _) in placed { table.measure(cells(plan.tensors[index], file: file)) }
    try write(table.title + "\n")
    for (file, index, _) in placed {
      try write(table.line(cells(plan.tensors[index], file: file)) + "\n")
    }
    try write("\n")
    for (reason, count) in droppedReasons { try write("left out: \(count) × \(reason)\n") }
    for warning in plan.warnings { try write("warning: \(warning)\n") }
    var files = TextTable([("FILE", .left), ("BYTES", .right)], namesFirst: true)
    for file in plan.files { files.add([file.name.text, Quantity.count(file.byteCount)]) }
    for line in files.lines { try write(line + "\n") }
    try write(
      """

      \(Quantity.plural(plan.tensors.count, "tensor")), \
      \(Quantity.bytes(plan.layout.totalSize)) of tensors
      \(Quantity.plural(plan.files.count, "file")), \(Quantity.count(plan.byteCount)) bytes \
      (\(Quantity.bytes(plan.byteCount))) will be written to \(output)
      peak memory \(Quantity.bytes(plan.peakMemory)) on \
      \(Quantity.plural(plan.buffers.threads, "thread"))

      """)
  }

  private func cells(_ tensor: PlannedTensor, file: Int) -> [String] {
    let from = tensor.source.type.rawValue
    let type = tensor.entry.type.rawValue
    return [
      tensor.entry.name.text, from == type ? type : "\(from) → \(type)",
      "\(tensor.entry.shape)", Quantity.count(tensor.entry.byteCount),
      plan.layout.files[file].name.text, "\(treatment(of: tensor)): \(tensor.reason)",
    ]
  }

  /// Writes the document of schema `fathom.plan/1`.
  public func writeJSON(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    let head: JSONObject = [
      "schema": .string("fathom.plan/1"), "source": .string(source), "output": .string(output),
      "recipe": .object(plan.recipe.json), "totals": totals,
      "peakMemory": .integer(plan.peakMemory),
      "threads": .integer(plan.buffers.threads),
      "files": .array(
        plan.files.map {
          .object([
            "name": .string($0.name.text), "bytes": .integer($0.byteCount),
            "kind": .string($0.kind.rawValue),
          ])
        }),
      "warnings": .array(plan.warnings.map { .string($0) }),
      "lost": .array(plan.lost.map { .string($0) }),
    ]
    // The lists that grow with the model follow, a line for each entry.
    try StreamedJSON.begin(head, write)
    try StreamedJSON.list("tensors", placed, write) { item in
      tensorJSON(file: item.file, index: item.index, offset: item.offset)
    }
    try StreamedJSON.list("dropped", plan.dropped, write) {
      .object(["name": .string($0.name.text), "reason": .string($0.reason)])
    }
    try StreamedJSON.end(write)
  }

  /// Tensors in the order of their bytes, with file and offset.
  private var placed: [(file: Int, index: Int, offset: Int)] {
    plan.layout.files.enumerated().flatMap { number, file in
      zip(file.tensors, file.offsets).map { (number, $0, $1) }
    }
  }

  private var droppedReasons: [(reason: String, count: Int)] {
    var counts: [(reason: String, count: Int)] = []
    for tensor in plan.dropped {
      // Scales differ in the name of their weight only.
      let reason =
        tensor.reason.hasPrefix("multiplied into")
        ? "scales, multiplied into their weights" : tensor.reason
      if let index = counts.firstIndex(where: { $0.reason == reason }) {
        counts[index].count += 1
      } else {
        counts.append((reason, 1))
      }
    }
    return counts
  }

  private var totals: JSONValue {
    .object([
      "tensors": .integer(plan.tensors.count),
      "elements": .integer(plan.tensors.reduce(0) { $0 + $1.entry.shape.elementCount }),
      "tensorBytes": .integer(plan.layout.totalSize), "files": .integer(plan.files.count),
      "bytes": .integer(plan.byteCount),
    ])
  }

  /// `cast` or `dequantized, stacked`.
  private func treatment(of tensor: PlannedTensor) -> String {
    [tensor.treatment, tensor.assembly.arrangement].compactMap { $0 }.joined(separator: ", ")
  }

  private func tensorJSON(file: Int, index: Int, offset: Int) -> JSONValue {
    let tensor = plan.tensors[index]
    return .object([
      "name": .string(tensor.entry.name.text), "type": .string(tensor.entry.type.rawValue),
      "shape": .array(tensor.entry.shape.dimensions.map { .integer($0) }),
      "file": .string(plan.layout.files[file].name.text), "offset": .integer(offset),
      "bytes": .integer(tensor.entry.byteCount),
      "sourceType": .string(tensor.source.type.rawValue),
      "sources": .array(tensor.sources.map { .string($0.name.text) }),
      "operation": .string(tensor.treatment),
      "rows": tensor.assembly.arrangement.map { .string($0) } ?? .null,
      "reason": .string(tensor.reason),
    ])
  }
}
