internal import Platform

/// Reads little-endian values of a file one after the other, through a window, so that a header of
/// any length is read without knowing it beforehand.
struct GGUFCursor {
  /// Longest header that is read, in bytes. A vocabulary of 164,000 tokens takes ten million.
  static let headerLimit = 1 << 26
  private static let windowSize = 1 << 18

  let file: InputFile
  /// Offset of the next byte.
  private(set) var position = 0
  private var window: [UInt8] = []
  private var windowStart = 0
  /// Arrays that were read so far.
  var arrays = 0

  init(_ file: InputFile) { self.file = file }

  /// Bytes between the next one and the end of the file.
  var remaining: Int { file.size - position }

  /// The next `count` bytes.
  mutating func bytes(_ count: Int) throws(Fault) -> ArraySlice<UInt8> {
    guard count <= remaining else {
      throw fault(
        "ends inside its header", expected: "\(count) more bytes", found: "\(remaining)")
    }
    guard count <= GGUFCursor.headerLimit - position else {
      throw fault("has too long a header", expected: "at most \(GGUFCursor.headerLimit) bytes")
    }
    let start = position
    position += count
    if count > GGUFCursor.windowSize { return try file.read(at: start, count: count)[...] }
    if start + count > windowStart + window.count {
      windowStart = start
      window = try file.read(
        at: start, count: min(GGUFCursor.windowSize, file.size - start))
    }
    let first = start - windowStart
    return window[first..<first + count]
  }

  /// The next unsigned integer of `size` bytes.
  mutating func unsigned(_ size: Int) throws(Fault) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    for byte in try bytes(size) {
      value |= UInt64(byte) << shift
      shift += 8
    }
    return value
  }

  /// The next 32-bit integer.
  mutating func word() throws(Fault) -> UInt32 { UInt32(try unsigned(4)) }

  /// The next 64-bit count of things that take at least `size` bytes each in what follows.
  mutating func count(of what: String, size: Int) throws(Fault) -> Int {
    let start = position
    let value = try unsigned(8)
    guard value <= UInt64(remaining / size) else {
      throw fault(
        "has an impossible number of \(what)", at: start,
        expected: "at most the \(remaining / size) that its size allows", found: "\(value)")
    }
    return Int(value)
  }

  /// The next string: a 64-bit length and UTF-8.
  mutating func string(_ what: String) throws(Fault) -> String {
    let start = position
    let length = try unsigned(8)
    guard length <= UInt64(remaining) else {
      throw fault(
        "has a \(what) that is longer than the file", at: start,
        expected: "at most \(remaining) bytes", found: "\(length)")
    }
    guard let text = String(validating: try bytes(Int(length)), as: UTF8.self) else {
      throw fault("has a \(what) that is not UTF-8", at: start)
    }
    return text
  }

  /// A fault at a place in the file, by default the next byte.
  func fault(
    _ message: String, at offset: Int? = nil, expected: String? = nil, found: String? = nil
  ) -> Fault {
    Fault(
      .malformed, message, file: file.path, offset: UInt64(offset ?? position),
      expected: expected, found: found)
  }
}
