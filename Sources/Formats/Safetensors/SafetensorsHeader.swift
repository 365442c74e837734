internal import Locks
package import Platform
internal import Tensors

/// The header of a safetensors file, wholly checked: names are unique, sizes follow from type and
/// shape, and the tensors fill the data part without holes or overlaps.
///
/// Layout (safetensors 0.8): 8 bytes of header length, little-endian; the header, a JSON object
/// that starts with `{` and may end in spaces; the data.
package struct SafetensorsHeader: Sendable {
  /// Longest header that is read, in bytes: twice that of DeepSeek-V3 in a single file. safetensors'
  /// own limit is 100,000,000.
  package static let lengthLimit = 1 << 25
  /// Dimensions that a tensor may have.
  static let rankLimit = 64
  /// Headers from this length on are parsed one after the other, so that many threads cannot fill
  /// memory with those of a hostile checkpoint.
  private static let largeLength = 1 << 22
  private static let largeHeaders = Guarded(())
  /// Keys of metadata that are read.
  static let metadataLimit = 100_000

  /// Tensors in the order of their bytes; offsets count from the start of the file.
  package let tensors: [StoredTensor]
  /// The `__metadata__` entries in order; what is no string stands as JSON.
  package let metadata: [(key: String, value: String)]
  /// The first of them that is no string, which safetensors' own readers refuse; nil where all are.
  package let metadataFault: Fault?
  /// Where the data must end: the size that the file must have.
  package let expectedSize: Int

  /// What reading a header found.
  package enum Reading: Sendable {
    /// The header is sound; whether the data is whole, `expectedSize` and the file's size tell.
    case header(SafetensorsHeader)
    /// The file ends before its header does; it should have at least so many bytes.
    case cut(atLeast: Int)
  }

  /// Reads and checks the header of an open file.
  ///
  /// - Parameters:
  ///   - shard: the index that the tensors will carry.
  ///   - budget: what the model's files share.
  /// - Throws: `.malformed` with the offset of what is wrong; `.inputOutput` where reading fails.
  package static func read(
    _ file: InputFile, shard: Int, within budget: ModelBudget = ModelBudget()
  ) throws(Fault) -> Reading {
    try file.parsed(as: .safetensors) { () throws(Fault) in
      try reading(file, shard: shard, within: budget)
    }
  }

  private static func reading(
    _ file: InputFile, shard: Int, within budget: ModelBudget
  ) throws(Fault) -> Reading {
    guard file.size >= 8 else {
      throw Fault(
        .malformed, "is too short for a safetensors file", file: file.path,
        expected: "at least 8 bytes", found: "\(file.size)")
    }
    var length: UInt64 = 0
    for (index, byte) in try file.read(at: 0, count: 8).enumerated() {
      length |= UInt64(byte) << (8 * index)
    }
    guard length >= 2, length <= UInt64(lengthLimit) else {
      throw Fault(
        .malformed, "has an impossible header length", file: file.path, offset: 0,
        expected: "2 to \(lengthLimit) bytes", found: "\(length)")
    }
    let end = 8 + Int(length)
    guard file.size >= end else { return .cut(atLeast: end) }
    try budget.headerBytes.take(Int(length), for: file.path)
    guard end < largeLength else {
      return try largeHeaders.withLock { _ throws(Fault) in
        .header(try parse(file, length: Int(length), shard: shard))
      }
    }
    return .header(try parse(file, length: Int(length), shard: shard))
  }

  private static func parse(
    _ file: InputFile, length: Int, shard: Int
  ) throws(Fault) -> SafetensorsHeader {
    try parse(file.read(at: 8, count: length), file: file.path, shard: shard)
  }

  private static func parse(
    _ bytes: [UInt8], file: String, shard: Int
  ) throws(Fault) -> SafetensorsHeader {
    do throws(Fault) {
      return try JSONCursor.read(bytes) { cursor throws(Fault) in
        var parser = SafetensorsHeaderParser(shard: shard, dataStart: 8 + bytes.count)
        // An entry takes at least 50 bytes of header, and mostly some 140.
        parser.reserve(bytes.count / 128)
        return try parser.header(&cursor)
      }
    } catch {
      var fault = error
      fault.file = file
      fault.offset = fault.offset.map { $0 + 8 }
      throw fault
    }
  }

  /// Throws where a header that is going to be written is none that is read: of a file that nothing
  /// reads back a model is lost.
  ///
  /// - Parameters:
  ///   - bytes: the header with its length before it.
  ///   - file: what is going to be written, for messages.
  /// - Throws: `.malformed` as `read` does, with advice.
  package static func requireReadable(_ bytes: [UInt8], file: String) throws(Fault) {
    do throws(Fault) {
      guard bytes.count - 8 <= lengthLimit else {
        throw Fault(
          .malformed, "would have too long a header for so many tensors", file: file,
          expected: "at most \(lengthLimit) bytes", found: "\(bytes.count - 8)")
      }
      _ = try parse(Array(bytes.dropFirst(8)), file: file, shard: 0)
    } catch {
      var fault = error
      fault.advice = "what would be written could not be read again, so that nothing is written"
      throw fault
    }
  }

  /// Throws where the file does not end exactly where its tensors end.
  package func requireSize(of file: InputFile) throws(Fault) {
    guard file.size != expectedSize else { return }
    let difference = abs(file.size - expectedSize)
    throw Fault(
      .malformed,
      file.size < expectedSize
        ? "is \(difference) bytes short" : "has \(difference) bytes after its last tensor",
      file: file.path, offset: UInt64(min(file.size, expectedSize)),
      expected: "\(expectedSize) bytes", found: "\(file.size)")
  }
}

/// Parses the JSON of a header with a cursor; the text's structure is fixed, so no tree is built.
private struct SafetensorsHeaderParser {
  let shard: Int
  let dataStart: Int
  var tensors: [StoredTensor] = []
  var metadata: [(key: String, value: String)] = []
  var metadataFault: Fault?
  var names: Set<ExactText> = []

  mutating func reserve(_ count: Int) {
    tensors.reserveCapacity(count)
    names.reserveCapacity(count)
  }

  mutating func header(_ cursor: inout JSONCursor) throws(Fault) -> SafetensorsHeader {
    guard cursor.peek == UInt8(ascii: "{") else { throw cursor.unexpected("'{'") }
    try cursor.expect(UInt8(ascii: "{"))
    if !cursor.take(UInt8(ascii: "}")) {
      repeat { try entry(&cursor) } while cursor.take(UInt8(ascii: ","))
      try cursor.expect(UInt8(ascii: "}"))
    }
    try cursor.expectEnd()
    tensors.sort { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }
    var end = dataStart
    for tensor in tensors {
      guard tensor.offset == end else {
        throw Fault(
          .malformed,
          tensor.offset < end ? "overlaps the tensor before it" : "leaves a hole before it",
          tensor: tensor.name, expected: "data offset \(end - dataStart)",
          found: "\(tensor.offset - dataStart)")
      }
      end += tensor.byteCount
    }
    return SafetensorsHeader(
      tensors: tensors, metadata: metadata, metadataFault: metadataFault, expectedSize: end)
  }

  private mutating func entry(_ cursor: inout JSONCursor) throws(Fault) {
    let start = cursor.position
    try Inventory.requireRoom(for: names.count + 1)
    let name = ExactText(try cursor.string())
    guard names.insert(name).inserted else {
      throw Fault(
        .malformed, "stands twice in the header", tensor: name, offset: UInt64(start))
    }
    try cursor.expect(UInt8(ascii: ":"))
    if name == "__metadata__" {
      try readMetadata(&cursor)
    } else {
      do throws(Fault) {
        tensors.append(try tensor(name, &cursor))
      } catch {
        var fault = error
        fault.tensor = name
        throw fault
      }
    }
  }

  private mutating func readMetadata(_ cursor: inout JSONCursor) throws(Fault) {
    var keys: Set<ExactText> = []
    cursor.skipSpace()
    // None at all, to safetensors' own readers.
    if cursor.peek == UInt8(ascii: "n") { return try cursor.expect(literal: "null") }
    try cursor.expect(UInt8(ascii: "{"))
    if cursor.take(UInt8(ascii: "}")) { return }
    repeat {
      cursor.skipSpace()
      let start = cursor.position
      let key = try cursor.string()
      guard keys.insert(ExactText(key)).inserted else {
        throw Fault(
          .malformed, "has a metadata key twice", offset: UInt64(start), found: key)
      }
      try cursor.expect(UInt8(ascii: ":"))
      metadata.append((key, try value(of: key, &cursor)))
      guard metadata.count <= SafetensorsHeader.metadataLimit else {
        throw Fault(
          .malformed, "has too many metadata", offset: UInt64(start),
          expected: "at most \(SafetensorsHeader.metadataLimit) keys")
      }
    } while cursor.take(UInt8(ascii: ","))
    try cursor.expect(UInt8(ascii: "}"))
  }

  /// A value of the metadata. Some programs write numbers, null and more, which say nothing of the
  /// tensors.
  private mutating func value(
    of key: String, _ cursor: inout JSONCursor
  ) throws(Fault) -> String {
    cursor.skipSpace()
    if cursor.peek == UInt8(ascii: "\"") { return try cursor.string(nulAllowed: true) }
    let start = cursor.position
    try cursor.skipValue()
    let text = cursor.text(from: start)
    if metadataFault == nil {
      metadataFault = Fault(
        .malformed, "has metadata that is no string", offset: UInt64(start),
        expected: "a string as \(key)", found: String(text.prefix(60)))
    }
    return text
  }

  private func tensor(
    _ name: ExactText, _ cursor: inout JSONCursor
  ) throws(Fault) -> StoredTensor {
    let start = cursor.position
    var type: ElementType?
    var shape: Shape?
    var range: Range<Int>?
    try cursor.expect(UInt8(ascii: "{"))
    repeat {
      let field = try cursor.string()
      try cursor.expect(UInt8(ascii: ":"))
      switch field {
      case "dtype" where type == nil: type = try readType(&cursor)
      case "shape" where shape == nil: shape = try readShape(&cursor)
      case "data_offsets" where range == nil: range = try readRange(&cursor)
      default:
        throw Fault(
          .malformed, "has a field that is unknown or stands twice",
          offset: UInt64(cursor.position), expected: "dtype, shape and data_offsets, once each",
          found: field)
      }
    } while cursor.take(UInt8(ascii: ","))
    try cursor.expect(UInt8(ascii: "}"))
    guard let type, let shape, let range else {
      throw Fault(
        .malformed, "lacks a field", offset: UInt64(start),
        expected: "dtype, shape and data_offsets")
    }
    guard let count = type.byteCount(elements: shape.elementCount) else {
      throw Fault(
        .malformed, "has a size that is no whole number of bytes or overflows",
        offset: UInt64(start), found: "\(shape) of \(type.rawValue)")
    }
    guard count == range.count else {
      throw Fault(
        .malformed, "has offsets that disagree with its shape", offset: UInt64(start),
        expected: "\(count) bytes for \(shape) of \(type.rawValue)", found: "\(range.count)")
    }
    return StoredTensor(
      name: name, type: type, shape: shape, shard: shard, offset: dataStart + range.lowerBound,
      byteCount: count)
  }

  private func readType(_ cursor: inout JSONCursor) throws(Fault) -> ElementType {
    let start = cursor.position
    let name = try cursor.string()
    guard let type = ElementType(safetensorsName: name) else {
      throw Fault(
        .malformed, "has an unknown element type", offset: UInt64(start), found: name)
    }
    return type
  }

  private func readShape(_ cursor: inout JSONCursor) throws(Fault) -> Shape {
    let start = cursor.position
    let dimensions = try counts(&cursor)
    guard let shape = Shape(dimensions) else {
      throw Fault(
        .malformed, "has a shape whose product overflows, or of no elements in too many rows",
        offset: UInt64(start),
        found: "[" + dimensions.map(String.init).joined(separator: ", ") + "]")
    }
    return shape
  }

  private func readRange(_ cursor: inout JSONCursor) throws(Fault) -> Range<Int> {
    let start = cursor.position
    let offsets = try counts(&cursor)
    guard offsets.count == 2, offsets[0] <= offsets[1], offsets[1] <= ModelBudget.fileBytes else {
      throw Fault(
        .malformed, "has impossible data offsets", offset: UInt64(start),
        expected: "begin and end, in order and at most \(ModelBudget.fileBytes)",
        found: "[" + offsets.map(String.init).joined(separator: ", ") + "]")
    }
    return offsets[0]..<offsets[1]
  }

  private func counts(_ cursor: inout JSONCursor) throws(Fault) -> [Int] {
    try cursor.expect(UInt8(ascii: "["))
    var counts: [Int] = []
    if cursor.take(UInt8(ascii: "]")) { return counts }
    repeat {
      counts.append(try cursor.count())
      guard counts.count <= SafetensorsHeader.rankLimit else {
        throw Fault(
          .malformed, "has too many dimensions", offset: UInt64(cursor.position),
          expected: "at most \(SafetensorsHeader.rankLimit)")
      }
    } while cursor.take(UInt8(ascii: ","))
    try cursor.expect(UInt8(ascii: "]"))
    return counts
  }
}
