public import Formats
public import Platform
internal import Tensors

/// What `fathom hash` says.
public struct HashReport: Sendable {
  private let hashes: ContentHashes
  private let check: (list: String, differences: [HashDifference])?

  /// Wraps hashes, and how they differ from a list that the user named.
  public init(
    _ hashes: ContentHashes, check: (list: String, differences: [HashDifference])? = nil
  ) {
    self.hashes = hashes
    self.check = check
  }

  /// Whether the checkpoint is what the list says; without a list there is nothing to break.
  public var holds: Bool { check?.differences.isEmpty ?? true }

  private var totals: String {
    "\(Quantity.plural(hashes.tensors.count, "tensor")), "
      + Quantity.bytes(hashes.tensors.reduce(0) { $0 + $1.byteCount })
  }

  /// A line for each tensor and one for the checkpoint; with a list, a line for each difference and
  /// the verdict.
  public func writeText(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    guard let check else {
      for tensor in hashes.tensors { try write(tensor.line) }
      return try write("\(hashes.checkpoint.text)  \(totals)\n")
    }
    for difference in check.differences {
      try write("\(difference.problem): \(difference.tensor)\n")
    }
    try write(
      holds
        ? "same: \(totals), \(hashes.checkpoint.text)\n"
        : """
        different: \(Quantity.plural(check.differences.count, "tensor")) of \(check.list)

        """)
  }

  /// The document of schema `fathom.hash/1`, a line for each tensor.
  public func writeJSON(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    var head: JSONObject = [
      "schema": .string("fathom.hash/1"), "algorithm": .string("blake3"),
      "checkpoint": .string(hashes.checkpoint.text),
      "totals": .object([
        "tensors": .integer(hashes.tensors.count),
        "bytes": .integer(hashes.tensors.reduce(0) { $0 + $1.byteCount }),
      ]),
    ]
    if let check {
      head["check"] = .object([
        "list": .string(check.list), "verdict": .string(holds ? "same" : "different"),
        "differences": .array(
          check.differences.map {
            .object([
              "tensor": .string($0.tensor.text), "problem": .string($0.problem),
              "expected": $0.expected.map { .string($0.text) } ?? .null,
              "found": $0.found.map { .string($0.text) } ?? .null,
            ])
          }),
      ])
    }
    try StreamedJSON.begin(head, write)
    try StreamedJSON.list("tensors", hashes.tensors, write, \.json)
    try StreamedJSON.end(write)
  }
}

extension TensorHash {
  /// The entry of `fathom.hash/1`.
  var json: JSONValue {
    .object([
      "name": .string(name.text), "type": .string(type.rawValue),
      "shape": .array(shape.dimensions.map { .integer($0) }), "bytes": .integer(byteCount),
      "hash": .string(hash.text),
    ])
  }
}
