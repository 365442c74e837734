package import Platform
package import Tensors

/// Rows of one table of `inspect`, for programs: lines of values between tabs, or of JSON objects.
package struct Listing: Sendable {
  /// The members that rows have, in order; those that a row lacks are left empty.
  let columns: [String]
  /// The rows, as they stand in the JSON document.
  let rows: [JSONObject]

  init(columns: [String], rows: JSONValue) {
    self.columns = columns
    if case .array(let values) = rows {
      self.rows = values.compactMap { if case .object(let object) = $0 { object } else { nil } }
    } else {
      self.rows = []
    }
  }

  /// A line of names, then a line for each row: values between tabs, numbers as they are, lists in
  /// brackets without spaces.
  ///
  /// - Parameter write: takes the lines, a row at a time.
  package func writeTSV(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    try write(columns.map { "\($0)" }.joined(separator: "\t") + "\n")
    for row in rows {
      let cells = columns.map { row[$0].map(Listing.cell) ?? "" }
      try write(cells.joined(separator: "\t") + "\n")
    }
  }

  /// An object on each line.
  ///
  /// - Parameter write: takes the lines, a row at a time.
  package func writeJSONLines(_ write: (OutputText) throws(Fault) -> Void) throws(Fault) {
    for row in rows { try write(JSONValue.object(row).printed(indent: nil) + "\n") }
  }

  private static func cell(_ value: JSONValue) -> OutputText {
    switch value {
    case .null: return ""
    case .string(let text): return "\(text)"
    case .array(let values) where values.contains { if case .object = $0 { true } else { false } }:
      // Types of a layer: their names.
      return values.compactMap { $0["type"].map(cell) }.joined(separator: " ")
    case .array(let values): return "[" + values.map(cell).joined(separator: ",") + "]"
    default: return value.printed(indent: nil)
    }
  }
}

extension Inspection {
  /// A line for each layer.
  package var layerListing: Listing {
    Listing(
      columns: ["index", "kind", "parameters", "activePerToken", "experts", "bytes", "types"],
      rows: layersJSON)
  }

  /// A line for each layer with routed experts.
  package var expertListing: Listing {
    Listing(
      columns: [
        "index", "kind", "experts", "parametersEach", "bytesEach", "parameters", "bytes", "types",
      ],
      rows: .array(
        layers.filter { $0.experts > 0 }.map { layer in
          .object([
            "index": .integer(layer.index), "kind": .string(layer.kind.rawValue),
            "experts": .integer(layer.experts),
            "parametersEach": .integer(layer.expertParameters / layer.experts),
            "bytesEach": .integer(layer.expertBytes / layer.experts),
            "parameters": .integer(layer.expertParameters), "bytes": .integer(layer.expertBytes),
            "types": .array(layer.expertTypes.map(\.rawValue).sorted().map { .string($0) }),
          ])
        }))
  }

  /// A line for each tensor whose name matches.
  ///
  /// - Parameter files: names of the files by `StoredTensor.shard`.
  package func tensorListing(matching glob: Glob, files: [ExactText]) -> Listing {
    Listing(
      columns: ["name", "type", "shape", "bytes", "file", "offset"],
      rows: tensorsJSON(matching: glob, files: files))
  }

  /// A line for each key of the metadata that matches.
  package func metadataListing(matching glob: Glob) -> Listing {
    Listing(
      columns: ["key", "type", "count", "value", "files"], rows: metadataJSON(matching: glob))
  }

  /// A table of the keys of the metadata that match, for people.
  package func metadataTable(matching glob: Glob) -> OutputText {
    MetadataRow.table(metadata.filter { glob.matches($0.key) })
  }

  /// The same as values.
  func metadataJSON(matching glob: Glob) -> JSONValue {
    .array(metadata.filter { glob.matches($0.key) }.map { .object($0.json) })
  }
}

extension WeightStatistics {
  /// A line for each row of statistics.
  package static func listing(
    _ rows: [(name: ExactText, statistics: WeightStatistics)]
  ) -> Listing {
    Listing(
      columns: [
        "name", "tensors", "elements", "smallest", "largest", "mean", "rms", "zeros", "nonFinite",
      ], rows: json(rows))
  }
}
