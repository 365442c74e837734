internal import CJSONC

extension JSONValue {
  /// Nesting that a document may have; what Fathom reads needs fewer than ten levels.
  package static let depthLimit = 64

  /// Parses a document with json-c, after a scan of its own for what json-c lets through:
  /// invalid UTF-8, control characters, other quotes, NaN, NUL, trailing bytes, integers beyond 64
  /// bits and keys that stand twice.
  ///
  /// - Parameters:
  ///   - limits: what the document may hold.
  ///   - dialect: what may stand in it beyond JSON.
  /// - Throws: `.malformed` with file and offset, and the key where one stands twice.
  package init(
    parsing bytes: [UInt8], file: String, limits: JSONLimits = .list,
    dialect: JSONDialect = .standard
  ) throws(Fault) {
    do throws(Fault) {
      let text = dialect == .python ? JSONDialect.withoutMark(bytes) : bytes
      let scan = try JSONScan(text, limits: limits, dialect: dialect)
      self = try JSONValue.parse(
        dialect == .python ? LongIntegers.withExponents(text) : text, scan: scan, original: text)
    } catch {
      var fault = error
      fault.file = file
      throw fault
    }
  }

  private static func parse(
    _ bytes: [UInt8], scan: JSONScan, original: [UInt8]
  ) throws(Fault) -> JSONValue {
    guard bytes.count <= Int32.max, let tokener = json_tokener_new_ex(Int32(depthLimit + 2)) else {
      throw Fault(.malformed, "is too large a JSON document", found: "\(bytes.count) bytes")
    }
    defer { json_tokener_free(tokener) }
    json_tokener_set_flags(tokener, Int32(JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8))
    let root = bytes.withUnsafeBytes { raw in
      json_tokener_parse_ex(
        tokener, raw.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(raw.count))
    }
    defer { json_object_put(root) }
    var status = json_tokener_get_error(tokener)
    if status == json_tokener_continue, scan.isBareNumber {
      // A number at the top level may go on, as far as json-c knows: say that it does not.
      status = json_tokener_success
    }
    guard status == json_tokener_success else {
      throw Fault(
        .malformed, "is not valid JSON", offset: UInt64(json_tokener_get_parse_end(tokener)),
        found: String(cString: json_tokener_error_desc(status)))
    }
    var objects = scan.objects[...]
    guard let value = convert(root, objects: &objects) else {
      // json-c kept one of two equal keys: which one it is, another scan finds.
      try scan.throwRepeatedKey(in: original)
      throw Fault(.malformed, "holds an object with the same key twice")
    }
    return value
  }

  /// Turns json-c's tree into a value; objects come in the order in which the scan met them.
  ///
  /// - Returns: nil where an object has fewer members than the scan met.
  private static func convert(
    _ node: OpaquePointer?, objects: inout ArraySlice<JSONScan.ScannedObject>
  ) -> JSONValue? {
    switch json_object_get_type(node) {
    case json_type_boolean: return .bool(json_object_get_boolean(node) != 0)
    case json_type_int, json_type_double:
      let text = String(cString: json_object_to_json_string(node))
      if let integer = Int(text) { return .integer(integer) }
      return .number(json_object_get_double(node), text: text)
    case json_type_string:
      let count = Int(json_object_get_string_len(node))
      let start = UnsafeRawPointer(json_object_get_string(node))
      let raw = UnsafeRawBufferPointer(start: start, count: count)
      return .string(String(decoding: raw, as: UTF8.self))
    case json_type_array:
      var values: [JSONValue] = []
      let count = json_object_array_length(node)
      values.reserveCapacity(count)
      for index in 0..<count {
        guard let value = convert(json_object_array_get_idx(node, index), objects: &objects) else {
          return nil
        }
        values.append(value)
      }
      return .array(values)
    case json_type_object: return convert(object: node, objects: &objects)
    default: return .null
    }
  }

  private static func convert(
    object node: OpaquePointer?, objects: inout ArraySlice<JSONScan.ScannedObject>
  ) -> JSONValue? {
    let scanned = objects.removeFirst()
    guard Int(json_object_object_length(node)) == scanned.members else { return nil }
    var object = JSONObject()
    var iterator = json_object_iter_begin(node)
    var end = json_object_iter_end(node)
    while json_object_iter_equal(&iterator, &end) == 0 {
      let key = String(cString: json_object_iter_peek_name(&iterator))
      guard let value = convert(json_object_iter_peek_value(&iterator), objects: &objects) else {
        return nil
      }
      object.append(key, value)
      json_object_iter_next(&iterator)
    }
    return .object(object)
  }
}

/// One pass over a document that accepts exactly what its dialect allows, within limits.
private struct JSONScan {
  /// What the scan knows of an object: json-c keeps the last of two equal keys, so its count of
  /// members tells whether one stood twice.
  struct ScannedObject {
    var members = 0
  }

  /// Objects in the order of their opening braces.
  var objects: [ScannedObject] = []
  /// Whether the document is a number and nothing else.
  var isBareNumber = false
  private var values = 0
  private var arrays = 0
  private var members = 0
  private let limits: JSONLimits
  private let dialect: JSONDialect
  /// Whether the keys of each object are kept and compared: for documents that are known to have
  /// one twice.
  private let comparesKeys: Bool

  init(
    _ bytes: [UInt8], limits: JSONLimits, dialect: JSONDialect, comparesKeys: Bool = false
  ) throws(Fault) {
    self.limits = limits
    self.dialect = dialect
    self.comparesKeys = comparesKeys
    try JSONCursor.read(bytes) { cursor throws(Fault) in
      cursor.skipSpace()
      isBareNumber = cursor.peek.map { $0 == 0x2D || (0x30...0x39).contains($0) } ?? false
      try value(&cursor, in: bytes, depth: 0)
      try cursor.expectEnd()
    }
  }

  /// Throws `.malformed` with the first key that stands twice in its object, at its second place.
  func throwRepeatedKey(in bytes: [UInt8]) throws(Fault) {
    _ = try JSONScan(bytes, limits: limits, dialect: dialect, comparesKeys: true)
  }

  private mutating func value(
    _ cursor: inout JSONCursor, in bytes: [UInt8], depth: Int
  ) throws(Fault) {
    guard depth <= JSONValue.depthLimit else {
      throw Fault(
        .malformed, "is nested too deeply", offset: UInt64(cursor.position),
        expected: "at most \(JSONValue.depthLimit) levels")
    }
    cursor.skipSpace()
    values += 1
    try requireRoom(at: cursor.position)
    switch cursor.peek {
    case UInt8(ascii: "{"): try object(&cursor, in: bytes, depth: depth)
    case UInt8(ascii: "["):
      arrays += 1
      try cursor.expect(UInt8(ascii: "["))
      if cursor.take(UInt8(ascii: "]")) { return }
      repeat {
        try value(&cursor, in: bytes, depth: depth + 1)
      } while cursor.take(
        UInt8(ascii: ","))
      try cursor.expect(UInt8(ascii: "]"))
    case UInt8(ascii: "\""): _ = try cursor.string(nulAllowed: true)
    case UInt8(ascii: "t"): try cursor.expect(literal: "true")
    case UInt8(ascii: "f"): try cursor.expect(literal: "false")
    case UInt8(ascii: "n"): try cursor.expect(literal: "null")
    default:
      if dialect == .python, try cursor.skipPythonNumber() { return }
      try number(&cursor, in: bytes)
    }
  }

  private func requireRoom(at position: Int) throws(Fault) {
    guard values <= limits.values, arrays <= limits.arrays, objects.count <= limits.objects,
      members <= limits.members
    else {
      throw Fault(
        .malformed, "has more values than may be read", offset: UInt64(position),
        expected:
          "at most \(limits.values), of them \(limits.arrays) arrays and \(limits.objects) objects "
          + "of \(limits.members) members")
    }
  }

  private mutating func object(
    _ cursor: inout JSONCursor, in bytes: [UInt8], depth: Int
  ) throws(Fault) {
    let index = objects.count
    objects.append(ScannedObject())
    var keys: Set<ExactText> = []
    try cursor.expect(UInt8(ascii: "{"))
    if cursor.take(UInt8(ascii: "}")) { return }
    repeat {
      cursor.skipSpace()
      let place = cursor.position
      let key = try cursor.string()
      if comparesKeys, !keys.insert(ExactText(key)).inserted {
        throw Fault(
          .malformed, "has the key \"\(key)\" twice in one object", offset: UInt64(place),
          expected: "each key once")
      }
      try cursor.expect(UInt8(ascii: ":"))
      objects[index].members += 1
      members += 1
      try value(&cursor, in: bytes, depth: depth + 1)
    } while cursor.take(UInt8(ascii: ","))
    try cursor.expect(UInt8(ascii: "}"))
  }

  private func number(
    _ cursor: inout JSONCursor, in bytes: [UInt8]
  ) throws(Fault) {
    let (range, isInteger) = try cursor.number()
    let text = String(decoding: bytes[range], as: UTF8.self)
    let isLong = dialect == .python && LongIntegers.isLong(bytes[range])
    let fits =
      isInteger
      ? Int(text) != nil || UInt64(text) != nil || isLong : Double(text)?.isFinite ?? false
    if !fits {
      throw Fault(
        .malformed, isInteger ? "holds an integer beyond 64 bits" : "holds a number out of range",
        offset: UInt64(range.lowerBound), found: text)
    }
  }
}
