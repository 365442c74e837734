internal import Formats
internal import Platform
internal import Reports
package import Tensors

/// A key of a file's metadata: of a GGUF file, or of `__metadata__` in safetensors files.
package struct MetadataRow: Sendable, Hashable {
  /// The key.
  package let key: String
  /// What it says.
  package let value: MetadataValue
  /// In how many files it stands; nil for a GGUF file, whose first split has it.
  package let files: Int?

  /// Elements of an array that are shown, of one that is not shown whole, and most that are.
  private static let (shown, whole) = (8, 32)
  /// Characters of a value that a table shows.
  private static let width = 60

  /// Keys of a GGUF file, in its order.
  static func rows(_ metadata: Metadata) -> [MetadataRow] {
    metadata.keys.compactMap { key in
      metadata[key].map { MetadataRow(key: key, value: $0, files: nil) }
    }
  }

  /// Keys of safetensors files in the order in which they come first, those that say the same in
  /// several files once.
  static func rows(_ shards: [Shard]) -> [MetadataRow] {
    struct Entry: Hashable {
      let key: ExactText
      let value: ExactText
    }
    var order: [Entry] = []
    var counts: [Entry: Int] = [:]
    for shard in shards {
      for (key, value) in shard.metadata {
        let entry = Entry(key: ExactText(key), value: ExactText(value))
        if counts.updateValue(counts[entry, default: 0] + 1, forKey: entry) == nil {
          order.append(entry)
        }
      }
    }
    return order.map {
      MetadataRow(key: $0.key.text, value: .string($0.value.text), files: counts[$0])
    }
  }

  /// Elements of an array; 1 for all else, as gguf-dump counts.
  package var count: Int { value.array?.count ?? 1 }

  /// For JSON and for tables that programs read.
  var json: JSONObject {
    var object: JSONObject = [
      "key": .string(key), "type": .string(value.typeName), "count": .integer(count),
      "value": MetadataRow.json(value),
    ]
    if isCut { object["cut"] = .bool(true) }
    object["files"] = files.map { .integer($0) }
    return object
  }

  private var isCut: Bool { count > MetadataRow.whole }

  private static func json(_ value: MetadataValue) -> JSONValue {
    switch value {
    case .string(let text): return .string(text)
    case .bool(let flag): return .bool(flag)
    // The shortest digits that give the number again, and not those of its double.
    case .float32(let number): return .number(Double(number), text: "\(number)")
    case .float64(let number): return .number(number)
    case .array(let array):
      return .array(array.prefix(array.count > whole ? shown : whole).map(json))
    // What JSON's readers would round stands as a text.
    case .uint64(let number):
      return Int(exactly: number).map { .integer($0) } ?? .string("\(number)")
    default: return .integer(value.integer ?? 0)
    }
  }

  /// For people: cut to a line.
  private var text: String {
    let text = value.shown(elements: MetadataRow.shown)
    guard text.unicodeScalars.count > MetadataRow.width else { return text }
    return String(text.unicodeScalars.prefix(MetadataRow.width - 1)) + "…"
  }

  /// A line for each key that matches.
  static func table(_ rows: [MetadataRow]) -> OutputText {
    let hasFiles = rows.contains { $0.files != nil }
    var columns: [(title: String, alignment: TextTable.Alignment)] = [
      ("type", .left), ("count", .right), ("key", .left), ("value", .left),
    ]
    if hasFiles { columns.insert(("files", .right), at: 2) }
    var table = TextTable(columns)
    for row in rows {
      var cells = [row.value.typeName, Quantity.count(row.count), row.key, row.text]
      if hasFiles { cells.insert(row.files.map(Quantity.count) ?? "", at: 2) }
      table.add(cells)
    }
    return table.lines.joined(separator: "\n") + "\n"
  }
}
