internal import Formats
package import Platform

/// Bytes of an output file that are on the disk.
package struct WrittenSegment: Sendable, Hashable {
  /// Index of the file in the plan's layout.
  package let file: Int
  /// Where they begin.
  package let start: Int
  /// Their number and checksum.
  package internal(set) var sum: CRC32C

  /// Where they end.
  package var end: Int { start + sum.count }

  /// Describes them.
  package init(file: Int, start: Int, sum: CRC32C) {
    (self.file, self.start, self.sum) = (file, start, sum)
  }
}

/// What the journal of a conversion says.
package struct ConversionRecords: Sendable {
  /// What was begun; nil where the journal holds nothing.
  package private(set) var identity: ConversionIdentity?
  /// By which command and where; nil where `identity` is.
  private(set) var origin: ConversionOrigin?
  /// What was written of each file, in order and without gaps.
  private(set) var segments: [Int: [WrittenSegment]] = [:]
  /// Names of source files that have been, or may have been, deleted.
  private(set) var deleted: Set<ExactText> = []
  /// How many parts divide the conversion; nil where one run does all of it.
  private(set) var parts: Int?
  /// Which part it is that the journal is of; nil for the whole conversion's.
  private(set) var part: PartHead?
  /// What is known of tensors of which a part writes a stretch.
  private(set) var stretches: [HashedStretch] = []
  /// What a part that is done had to say; nil as long as it is not.
  private(set) var warningsOfDone: [String]?
  /// Of a pass over a model's layers, how many it goes through; nil for a conversion.
  private(set) var layers: Int?
  /// What such a pass has kept, in order.
  package private(set) var passes: [KeptPass] = []
  /// Hashes of tensors that passed by.
  package private(set) var hashes: [ContentLedger.Record] = []
  /// Whether files may have their final names already.
  private(set) var isPlacing = false
  /// Whether nothing of the work is needed any more.
  package private(set) var isExpendable = false
  /// Whether lines are missing in the middle, so that others may not fit what is known.
  private let hasGaps: Bool
  /// Bytes that are safe.
  package private(set) var byteCount = 0

  /// The line before a way of several steps to the final names.
  static let placing = #"{"placing":true}"#

  /// Whether throwing the work away would lose anything.
  package var isWorthKeeping: Bool {
    byteCount > 0 || !deleted.isEmpty || isPlacing || !passes.isEmpty
  }

  /// Reads both copies of a journal.
  ///
  /// - Throws: as the initializer from a text does, and where the copies contradict each other.
  package init(journal: [UInt8], copy: [UInt8], file: String) throws(Fault) {
    try self.init(JournalText(journal, copy: copy, file: file), file: file)
  }

  /// Reads the lines of a journal.
  ///
  /// - Throws: `.cannotCreate` where its first line is damaged, or where this program does not
  ///   understand one.
  package init(_ text: JournalText, file: String) throws(Fault) {
    hasGaps = !text.gaps.isEmpty
    guard text.hasHead || text.lines.isEmpty else {
      throw Fault(
        .cannotCreate, "is damaged in both copies", file: file, offset: 0,
        expected: "the line that says what was begun", found: "\(text.lines.count) later lines")
    }
    for (number, line) in text.lines.enumerated() {
      guard try takes(line, isHead: number == 0, file: file) else {
        throw Fault(
          .cannotCreate, "holds a line that makes no sense", file: file,
          expected: "what fathom \(FathomVersion.text) writes",
          found: "line \(number + 1): \(line)")
      }
    }
  }

  /// Takes a line in; returns whether it is a record that fits those before.
  private mutating func takes(
    _ line: String, isHead: Bool, file: String
  ) throws(Fault) -> Bool {
    isExpendable = line == WorkFolder.expendable
    if isExpendable { return true }
    guard let value = try? JSONValue(parsing: Array(line.utf8), file: file) else { return false }
    guard isHead else { return take(value) }
    if case .integer(let layout) = value["journal"], layout != ConversionIdentity.layout {
      throw Fault(
        .cannotCreate, "holds work of another version of fathom", file: file,
        expected: "layout \(ConversionIdentity.layout)", found: "\(layout)")
    }
    identity = ConversionIdentity(line: value)
    origin = ConversionOrigin(line: value)
    if let parts = value["parts"] {
      guard case .integer(let count) = parts, count > 0 else { return false }
      self.parts = count
    }
    if case .integer(let count)? = value["layers"] { layers = count }
    if let head = value["part"] {
      part = PartHead(head)
      guard part != nil else { return false }
    }
    return identity != nil && origin != nil
  }

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
    if let item = value["stretch"] {
      guard let stretch = HashedStretch(item) else { return false }
      stretches.append(stretch)
      return true
    }
    if case .array(let texts) = value["done"] {
      warningsOfDone = texts.compactMap { if case .string(let text) = $0 { text } else { nil } }
      return true
    }
    if let pass = value["pass"] {
      guard layers != nil, let kept = KeptPass(pass) else { return false }
      passes.append(kept)
      return true
    }
    guard let segment = value["written"].flatMap({ WrittenSegment($0) }), segment.sum.count > 0
    else { return false }
    return take(segment)
  }

  private mutating func take(_ segment: WrittenSegment) -> Bool {
    // Out of the dictionary while it grows, so that it is not copied.
    var known = segments.removeValue(forKey: segment.file) ?? []
    defer { segments[segment.file] = known.isEmpty ? nil : known }
    let base = part?.starts[segment.file] ?? 0
    let before = known.last?.end ?? base
    warningsOfDone = nil
    // What a later run wrote anew takes the place of what it found to be damaged.
    var count = known.count
    while count > 0, known[count - 1].end > segment.start { count -= 1 }
    guard (count > 0 ? known[count - 1].end : base) == segment.start else {
      // The line about what lies between may be one that is damaged.
      return hasGaps && before < segment.start
    }
    let (total, overflow) = (byteCount - before).addingReportingOverflow(segment.end)
    guard !overflow else { return false }
    byteCount = total
    known.removeSubrange(count...)
    known.append(segment)
    return true
  }

  /// Throws `.cannotCreate` where the journal speaks of what the conversion does not have.
  func requireFits(_ plan: Plan, sourceTensors: Int, file: String) throws(Fault) {
    func fault(_ expected: String, _ found: String) -> Fault {
      Fault(
        .cannotCreate, "speaks of what the conversion does not have", file: file,
        expected: expected, found: found)
    }
    let files = plan.layout.files
    for (number, known) in segments {
      guard number < files.count else { throw fault("\(files.count) files", "number \(number)") }
      let (size, end) = (files[number].byteCount, known.last?.end ?? 0)
      guard end <= size else {
        throw fault("\(files[number].name) of \(size) bytes", "\(end) bytes")
      }
    }
    for hash in hashes {
      let count = hash.isSource ? sourceTensors : plan.tensors.count
      guard (0..<count).contains(hash.tensor) else {
        throw fault("\(count) tensors", "number \(hash.tensor)")
      }
    }
    for stretch in stretches where !plan.tensors.indices.contains(stretch.tensor) {
      throw fault("\(plan.tensors.count) tensors", "number \(stretch.tensor)")
    }
  }
}

extension WrittenSegment {
  /// Its line in the journal.
  var line: String { #"{"written":\#(json.text(indent: nil))}"# }

  var json: JSONValue {
    .object([
      "file": .integer(file), "from": .integer(start), "bytes": .integer(sum.count),
      "crc32c": .string(sum.text),
    ])
  }

  /// Reads `json`; nil where it makes no sense.
  init?(_ value: JSONValue) {
    guard case .integer(let file) = value["file"], case .integer(let start) = value["from"],
      let sum = CRC32C(value), file >= 0, start >= 0,
      !start.addingReportingOverflow(sum.count).overflow
    else { return nil }
    self.init(file: file, start: start, sum: sum)
  }
}

extension CRC32C {
  /// Reads how many bytes a line of the journal speaks of, and their checksum; nil where it makes no
  /// sense.
  init?(_ value: JSONValue) {
    guard case .integer(let count) = value["bytes"], case .string(let digits) = value["crc32c"],
      let sum = UInt32(digits, radix: 16), count >= 0
    else { return nil }
    self.init(value: sum, count: count)
  }
}

extension ConversionRecords {
  /// The line behind which a part has nothing left to do.
  static func done(_ warnings: [String]) -> String {
    JSONValue.object(["done": .array(warnings.map { .string($0) })]).text(indent: nil)
  }

  /// The line before source files are deleted.
  static func deleting(_ names: [ExactText]) -> String {
    JSONValue.object(["deleted": .array(names.map { .string($0.text) })]).text(indent: nil)
  }
}
