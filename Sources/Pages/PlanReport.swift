package import Conversion
internal import Dialects
internal import Formats
package import Platform
internal import Reports
internal import Tensors
internal import Tiles
internal import Weights

/// What a conversion will write, as a document. It is given out in pieces: as one value, the plan
/// of 91,991 tensors would take several times its own memory.
package struct PlanReport {
  private let plan: Plan
  private let source: String
  private let output: String
  private let part: ShareReport?

  /// Wraps a plan with the names that the user gave.
  ///
  /// - Parameter part: what is said of one part of it; nil for nothing.
  package init(_ plan: Plan, source: String, output: String, part: ShareReport? = nil) {
    self.part = part
    self.plan = plan
    self.source = source
    self.output = output
  }

  /// Tensors that are listed one by one without being asked for.
  private static let screen = 100
  /// Files that are.
  private static let fileLines = 12

  /// Writes the table of tensors, the files and the totals.
  ///
  /// - Parameter everyTensor: whether each tensor has a row, however many there are; otherwise those
  ///   of a large model that are alike share one.
  package func writeText(
    everyTensor: Bool = false, _ write: (OutputText) throws(Fault) -> Void
  ) throws(Fault) {
    if everyTensor || plan.tensors.count <= Self.screen {
      try writeTensors(write)
    } else {
      try writeRows(write)
    }
    try write("\n")
    for (reason, count) in droppedReasons { try write("left out: \(count) × \(reason)\n") }
    for warning in plan.warnings { try write("warning: \(warning)\n") }
    try writeFiles(isCut: !everyTensor && plan.files.count > Self.fileLines, write)
    try write("\n")
    try write(summary)
    try write(
      """
      \(Quantity.plural(plan.files.count, "file")), \(Quantity.count(plan.byteCount)) bytes \
      (\(Quantity.bytes(plan.byteCount))) will be written to \(output)

      """)
    if let free = OutputPath.freeBytes(beside: output) {
      let lacking = plan.byteCount - free
      try write(
        lacking > 0
          ? "\(Quantity.bytes(free)) are free there: \(Quantity.bytes(lacking)) too few\n"
          : "\(Quantity.bytes(free)) are free there\n")
    }
    let (threads, seconds) = (plan.buffers.threads, plan.coreSeconds)
    try write(
      """
      \(Quantity.duration(seconds / Double(threads))) of work on \
      \(Quantity.plural(threads, "thread")) at the rates of an AMD EPYC with AVX-512, where disks \
      keep up; peak memory \(Quantity.bytes(plan.peakMemory))

      """)
    if let part { try write(part.text) }
  }

  /// What is written, in a few lines: tensors and bytes by type, what fell back to another type, and
  /// bits per weight before and after.
  package var summary: OutputText {
    var text: OutputText = TypeTable.lines(types).joined(separator: "\n") + "\n\n"
    for (reason, count) in fallbacks {
      text += "\(Quantity.plural(count, "tensor")) in \(reason)\n"
    }
    return text + """
      \(Quantity.plural(plan.tensors.count, "tensor")), \
      \(Quantity.bytes(plan.layout.totalSize)) of tensors; \
      \(Quantity.bits(storedBytes, per: elements)) bits per weight before, \
      \(Quantity.bits(plan.layout.totalSize, per: elements)) after

      """
  }

  /// Why tensors have another type than their rule gives them, each reason with its number of tensors,
  /// in the order of the first.
  private var fallbacks: [(reason: String, count: Int)] {
    let tensors = plan.tensors
    return counted(
      tensors.indices.lazy.compactMap { index in
        tensors[index].fallback.map { "\(tensors[index].entry.type.rawValue): \($0)" }
      })
  }

  private func counted(_ reasons: some Sequence<String>) -> [(reason: String, count: Int)] {
    var (counts, places): ([(reason: String, count: Int)], [String: Int]) = ([], [:])
    for reason in reasons {
      if let place = places[reason] {
        counts[place].count += 1
      } else {
        places[reason] = counts.count
        counts.append((reason, 1))
      }
    }
    return counts
  }

  /// A row for each tensor, with its file.
  private func writeTensors(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    var table = TextTable(
      [
        ("TENSOR", .left), ("TYPE", .left), ("SHAPE", .left), ("BYTES", .right), ("FILE", .left),
        ("REASON", .left),
      ], namesFirst: true)
    for (file, index, _) in placed { table.measure(cells(plan.tensors[index], file: file)) }
    let layout = table.layout
    try write(layout.title + "\n")
    for (file, index, _) in placed {
      try write(layout.line(cells(plan.tensors[index], file: file)) + "\n")
    }
  }

  /// A row for all tensors that are alike but for the numbers in their names.
  private func writeRows(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    var rows = PlanRows()
    for (_, index, _) in placed {
      rows.add(plan.tensors[index], treatment: treatment(of: plan.tensors[index]))
    }
    var table = TextTable(
      [
        ("TENSORS", .left), ("COUNT", .right), ("TYPE", .left), ("SHAPE OF EACH", .left),
        ("BYTES OF ALL", .right), ("REASON", .left),
      ], namesFirst: true)
    for row in rows.rows {
      table.add([
        row.name, Quantity.count(row.count), change(row.first), "\(row.first.entry.shape)",
        Quantity.count(row.bytes), "\(treatment(of: row.first)): \(row.first.reason)",
      ])
    }
    for line in table.lines { try write(line + "\n") }
    try write("\nTensors that are alike share a row: --all gives each its own.\n")
  }

  /// The files; of many the first and the last.
  private func writeFiles(
    isCut: Bool, _ write: (OutputText) throws(Fault) -> Void
  ) throws(Fault) {
    var files = TextTable([("FILE", .left), ("BYTES", .right)], namesFirst: true)
    let shown = isCut ? plan.files.prefix(Self.fileLines / 2) : plan.files[...]
    let rest = isCut ? plan.files.suffix(Self.fileLines / 2) : []
    for file in shown + rest { files.add([file.name.text, Quantity.count(file.byteCount)]) }
    for (index, line) in files.lines.enumerated() {
      if isCut, index == shown.count + 1 {
        try write("  … \(plan.files.count - shown.count - rest.count) files more\n")
      }
      try write(line + "\n")
    }
  }

  /// Tensors and bytes by type, the most bytes first.
  private var types: [TypeTable.Row] {
    var rows: [ElementType: TypeTable.Row] = [:]
    let tensors = plan.tensors
    // By place: an iterator would copy every tensor.
    for index in tensors.indices {
      let type = tensors[index].entry.type
      rows[type, default: (type.rawValue, 0, 0, 0)].tensors += 1
      rows[type]?.elements += tensors[index].entry.shape.elementCount
      rows[type]?.bytes += tensors[index].entry.byteCount
    }
    return rows.values.sorted { ($1.bytes, $0.type) < ($0.bytes, $1.type) }
  }

  /// Bytes of the stored tensors that the output is made from.
  private var storedBytes: Int {
    var sizes: [Int: Int] = [:]
    let tensors = plan.tensors
    for index in tensors.indices {
      tensors[index].assembly.forEachStored { sizes[$0.index] = $0.byteCount }
    }
    return sizes.values.reduce(0, +)
  }

  private var elements: Int {
    let tensors = plan.tensors
    return tensors.indices.reduce(0) { $0 + tensors[$1].entry.shape.elementCount }
  }

  private func change(_ tensor: PlannedTensor) -> String {
    let (from, type) = (tensor.source.type.rawValue, tensor.entry.type.rawValue)
    return from == type ? type : "\(from) → \(type)"
  }

  private func cells(_ tensor: PlannedTensor, file: Int) -> [String] {
    [
      tensor.entry.name.text, change(tensor),
      "\(tensor.entry.shape)", Quantity.count(tensor.entry.byteCount),
      plan.layout.files[file].name.text, "\(treatment(of: tensor)): \(tensor.reason)",
    ]
  }

  /// Writes the document of schema `fathom.plan/1`.
  package func writeJSON(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    var head: JSONObject = [
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
    if let part { head["part"] = part.json }
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
    counted(plan.dropped.lazy.map(\.reason))
  }

  private var totals: JSONValue {
    .object([
      "tensors": .integer(plan.tensors.count),
      "elements": .integer(elements),
      "tensorBytes": .integer(plan.layout.totalSize), "files": .integer(plan.files.count),
      "bytes": .integer(plan.byteCount),
    ])
  }

  /// `cast` or `dequantized, stacked`.
  private func treatment(of tensor: PlannedTensor) -> String {
    [tensor.treatment.rawValue, tensor.assembly.arrangement].compactMap { $0 }.joined(
      separator: ", ")
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
      "operation": .string(tensor.treatment.rawValue),
      "rows": tensor.assembly.arrangement.map { .string($0) } ?? .null,
      "reason": .string(tensor.reason),
    ])
  }
}
