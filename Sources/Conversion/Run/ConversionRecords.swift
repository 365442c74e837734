internal import Platform

/// Bytes of an output file that are on the disk.
struct WrittenSegment: Sendable, Hashable {
  /// Index of the file in the plan's layout.
  let file: Int
  /// Where they begin.
  let start: Int
  /// Their number and checksum.
  var sum: CRC32C

  /// Where they end.
  var end: Int { start + sum.count }
}

/// What the journal of a conversion says.
struct ConversionRecords {
  /// What was begun; nil where the journal holds nothing.
  private(set) var identity: ConversionIdentity?
  /// What was written of each file, in order and without gaps.
  private(set) var segments: [Int: [WrittenSegment]] = [:]
  /// Names of source files that have been, or may have been, deleted.
  private(set) var deleted: Set<ExactText> = []
  /// Hashes of tensors that passed by.
  private(set) var hashes: [ContentLedger.Record] = []
  /// Whether files may have their final names already.
  private(set) var isPlacing = false

  /// The line before a way of several steps to the final names.
  static let placing = #"{"placing":true}"#

  /// Bytes that are safe.
  var byteCount: Int { segments.values.joined().reduce(0) { $0 + $1.sum.count } }

  /// Whether throwing the work away would lose anything.
  var isWorthKeeping: Bool { byteCount > 0 || !deleted.isEmpty || isPlacing }

  /// Reads the lines of a journal.
  ///
  /// - Throws: `.cannotCreate` where this program does not understand them.
  init(_ journal: Journal) throws(Fault) {
    for (number, line) in journal.lines.enumerated() {
      let value = try JSONValue(parsing: Array(line.utf8), file: journal.path)
      let isUnderstood: Bool
      if number == 0 {
        identity = ConversionIdentity(line: value)
        isUnderstood = identity != nil
      } else {
        isUnderstood = take(value)
      }
      guard isUnderstood else {
        throw Fault(
          .cannotCreate, "holds work of another version of fathom", file: journal.path,
          expected: FathomVersion.text, found: "line \(number + 1): \(line)")
      }
    }
  }

  /// Takes a record in; returns whether it is one.
  private mutating func take(_ value: JSONValue) -> Bool {
    if value["placing"] == .bool(true) {
      isPlacing = true
      return true
    }
    if case .array(let names) = value["deleted"] {
      for case .string(let name) in names { deleted.insert(ExactText(name)) }
      return true
    }
    if case .array(let items) = value["hashed"] {
      let records = items.compactMap { ContentLedger.Record($0) }
      hashes += records
      return records.count == items.count
    }
    guard let written = value["written"], case .integer(let file) = written["file"],
      case .integer(let start) = written["from"], case .integer(let count) = written["bytes"],
      case .string(let digits) = written["crc32c"], let sum = UInt32(digits, radix: 16),
      file >= 0, start >= 0, count > 0, start <= Int.max - count
    else { return false }
    // What a later run wrote anew takes the place of what it found to be damaged.
    var known = segments[file] ?? []
    while let last = known.last, last.end > start { known.removeLast() }
    guard (known.last?.end ?? 0) == start else { return false }
    known.append(
      WrittenSegment(file: file, start: start, sum: CRC32C(value: sum, count: count)))
    segments[file] = known
    return true
  }
}

extension WrittenSegment {
  /// Its line in the journal.
  var line: String {
    """
    {"written":{"file":\(file),"from":\(start),"bytes":\(sum.count),"crc32c":"\(sum.text)"}}
    """
  }
}

extension ConversionRecords {
  /// The line before source files are deleted.
  static func deleting(_ names: [ExactText]) -> String {
    JSONValue.object(["deleted": .array(names.map { .string($0.text) })]).text(indent: nil)
  }
}
