internal import Platform
internal import Tensors

/// Parses the JSON of a header with a cursor; the text's structure is fixed, so no tree is built.
struct SafetensorsHeaderParser {
  private let shard: Int
  private let dataStart: Int
  private var tensors: [StoredTensor] = []
  private var metadata: [(key: String, value: String)] = []
  private var metadataFault: Fault?
  /// Names that stood there so far, by their places in `tensors`.
  private var names = MarkTable(capacity: 0)
  private var hasMetadata = false
  /// Numbers of a list, in memory that all lists share.
  private var numbers: [Int] = []
  // Nearly all tensors of a file have one of a few types and shapes, which they share.
  private var types: [(word: String, type: ElementType)] = []
  private var shapes: [Shape] = []

  init(shard: Int, dataStart: Int) {
    self.shard = shard
    self.dataStart = dataStart
  }

  mutating func reserve(_ count: Int) {
    tensors.reserveCapacity(count)
    names = MarkTable(capacity: count)
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
    try Inventory.requireRoom(for: tensors.count + (hasMetadata ? 2 : 1))
    let name = ExactText(try cursor.string())
    let isMetadata = name == "__metadata__"
    let mark = name.withBytes(MarkTable.mark)
    let isRepeated =
      isMetadata ? hasMetadata : names.place(mark) { tensors[$0].name == name } != nil
    guard !isRepeated else {
      throw Fault(
        .malformed, "stands twice in the header", tensor: name, offset: UInt64(start))
    }
    try cursor.expect(UInt8(ascii: ":"))
    if isMetadata {
      hasMetadata = true
      try readMetadata(&cursor)
    } else {
      do throws(Fault) {
        let tensor = try tensor(name, &cursor)
        names.insert(mark, place: tensors.count)
        tensors.append(tensor)
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

  private mutating func tensor(
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

  private mutating func readType(_ cursor: inout JSONCursor) throws(Fault) -> ElementType {
    let start = cursor.position
    let word = try cursor.string()
    if let known = types.first(where: { $0.word == word }) { return known.type }
    guard let type = ElementType(safetensorsName: word) else {
      throw Fault(
        .malformed, "has an unknown element type", offset: UInt64(start), found: word)
    }
    types.append((word, type))
    return type
  }

  private mutating func readShape(_ cursor: inout JSONCursor) throws(Fault) -> Shape {
    let start = cursor.position
    try readNumbers(&cursor)
    if let known = shapes.last(where: { $0.dimensions == numbers }) { return known }
    guard let shape = Shape(numbers) else {
      throw Fault(
        .malformed, "has a shape whose product overflows, or of no elements in too many rows",
        offset: UInt64(start),
        found: "[" + numbers.map(String.init).joined(separator: ", ") + "]")
    }
    // Where each has another one, the search ends soon.
    if shapes.count == 16 { shapes.removeFirst(8) }
    shapes.append(shape)
    return shape
  }

  private mutating func readRange(_ cursor: inout JSONCursor) throws(Fault) -> Range<Int> {
    let start = cursor.position
    try readNumbers(&cursor)
    guard numbers.count == 2, numbers[0] <= numbers[1], numbers[1] <= ModelBudget.fileBytes else {
      throw Fault(
        .malformed, "has impossible data offsets", offset: UInt64(start),
        expected: "begin and end, in order and at most \(ModelBudget.fileBytes)",
        found: "[" + numbers.map(String.init).joined(separator: ", ") + "]")
    }
    return numbers[0]..<numbers[1]
  }

  private mutating func readNumbers(_ cursor: inout JSONCursor) throws(Fault) {
    try cursor.expect(UInt8(ascii: "["))
    numbers.removeAll(keepingCapacity: true)
    if cursor.take(UInt8(ascii: "]")) { return }
    repeat {
      numbers.append(try cursor.count())
      guard numbers.count <= SafetensorsHeader.rankLimit else {
        throw Fault(
          .malformed, "has too many dimensions", offset: UInt64(cursor.position),
          expected: "at most \(SafetensorsHeader.rankLimit)")
      }
    } while cursor.take(UInt8(ascii: ","))
    try cursor.expect(UInt8(ascii: "]"))
  }
}
