package import Formats
package import Platform
internal import Reports
internal import Tensors

/// What `fathom hash` says.
package struct HashReport: Sendable {
  private let hashes: ContentHashes
  private let check: (list: String, comparison: HashComparison)?

  /// Wraps hashes, and how they differ from a list that the user named.
  package init(
    _ hashes: ContentHashes, check: (list: String, comparison: HashComparison)? = nil
  ) {
    self.hashes = hashes
    self.check = check
  }

  /// Throws `.usage` where a list of a checkpoint's hashes would be larger than one that is read;
  /// nothing is read for it.
  package static func requireReadable(_ inventory: Inventory, asJSON: Bool) throws(Fault) {
    let blank = BLAKE3.hash([])
    let report = HashReport(ContentHashes(inventory.tensors.map { TensorHash($0, bytes: blank) }))
    var count = 0
    func add(_ piece: OutputText) { count += piece.text.utf8.count }
    try asJSON ? report.writeJSON(add) : report.writeText(add)
    guard count > ManifestName.sizeLimit else { return }
    throw Fault(
      .usage, "has too many tensors, or names that are too long, for a list that can be read",
      file: inventory.shards.first?.file.path,
      expected: "at most \(ManifestName.sizeLimit) bytes of it", found: "\(count)")
  }

  /// Whether the checkpoint is what the list says; without a list there is nothing to break.
  package var holds: Bool { check?.comparison.holds ?? true }

  private var totals: String {
    "\(Quantity.plural(hashes.tensors.count, "tensor")), "
      + Quantity.bytes(hashes.tensors.reduce(0) { $0 + $1.byteCount })
  }

  /// A line for each tensor and one for the checkpoint; with a list, a line for each difference,
  /// what could not be compared and the verdict.
  package func writeText(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    guard let check else {
      for tensor in hashes.tensors { try write(OutputText(document: tensor.line)) }
      return try write("\(hashes.checkpoint.text)  \(totals), \(HashList.schema)\n")
    }
    let (comparison, coverage) = (check.comparison, check.comparison.coverage)
    for difference in comparison.differences { try write(difference.line) }
    if let checkpoint = comparison.checkpoint, checkpoint.expected != checkpoint.found {
      try write(
        "different: \(HashComparison.checkpointName): expected \(checkpoint.expected.text), "
          + "found \(checkpoint.found.text)\n")
    }
    for line in coverage.uncomparedLines { try write(line + "\n") }
    for note in comparison.notes { try write("note: \(note)\n") }
    let list = check.list.printable
    let (same, none): (OutputText, OutputText) = ("same", "nothing compared")
    let different: OutputText = "different"
    switch coverage.verdict {
    case .same: try write("\(same.painted(.green)): \(totals), \(hashes.checkpoint.text)\n")
    case .incomplete where coverage.holds:
      try write("\(same.painted(.green)) as far as compared with \(list): \(coverage.summary)\n")
    case .incomplete:
      try write("\(none.painted(.yellow)) with \(list): \(coverage.summary)\n")
    case .different: try write("\(different.painted(.red)) from \(list): \(coverage.summary)\n")
    }
  }

  /// The document of schema `fathom.hash/2`, a line for each tensor.
  package func writeJSON(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    var head: JSONObject = [
      "schema": .string(HashList.schema), "algorithm": .string("blake3"),
      "checkpoint": .string(hashes.checkpoint.text),
      "totals": .object([
        "tensors": .integer(hashes.tensors.count),
        "bytes": .integer(hashes.tensors.reduce(0) { $0 + $1.byteCount }),
      ]),
    ]
    if let check {
      let comparison = check.comparison
      head["check"] = .object([
        "list": .string(check.list),
        "verdict": .string(comparison.coverage.verdict.rawValue),
        "coverage": comparison.coverage.json,
        "checkpoint": comparison.checkpoint.map {
          .object(["expected": .string($0.expected.text), "found": .string($0.found.text)])
        } ?? .null,
        "notes": .array(comparison.notes.map { .string($0) }),
        "differences": .array(comparison.differences.map(\.json)),
      ])
    }
    try StreamedJSON.begin(head, write)
    try StreamedJSON.list("tensors", hashes.tensors, write, \.json)
    try StreamedJSON.end(write)
  }
}

extension HashDifference {
  fileprivate var line: OutputText {
    let kinds: OutputText = kinds.map { ": expected \($0.expected), found \($0.found)" } ?? ""
    return "\(problem.rawValue): \(tensor)\(kinds)\n"
  }

  fileprivate var json: JSONValue {
    .object([
      "tensor": .string(tensor.text), "problem": .string(problem.rawValue),
      "expected": expected.map { .string($0.text) } ?? .null,
      "found": found.map { .string($0.text) } ?? .null,
      "expectedKind": kinds.map { .string($0.expected) } ?? .null,
      "foundKind": kinds.map { .string($0.found) } ?? .null,
    ])
  }
}

extension TensorHash {
  /// The entry of `fathom.hash/2`.
  var json: JSONValue {
    .object([
      "name": .string(name.text), "type": .string(type.rawValue),
      "shape": .array(shape.dimensions.map { .integer($0) }), "bytes": .integer(byteCount),
      "hash": .string(hash.text),
    ])
  }
}
