/// Walks over JSON text byte by byte and accepts exactly RFC 8259, in valid UTF-8.
///
/// json-c lets single quotes, NaN, raw control characters, `1.` and more pass; what this cursor has
/// been over, it may parse. Safetensors headers are read with the cursor alone: their structure is
/// fixed, there are thousands of them, and no tree is needed.
///
/// The memory must outlive the cursor, hence `read(_:_:)`, which makes one for as long as it runs.
package struct JSONCursor {
  /// Where the next byte is read.
  package private(set) var position = 0
  private let bytes: UnsafeBufferPointer<UInt8>

  /// Starts at the first byte.
  ///
  /// - Throws: `.malformed` with the offset of the first byte that is not UTF-8.
  init(_ bytes: UnsafeBufferPointer<UInt8>) throws(Fault) {
    self.bytes = bytes
    if let offset = firstInvalidUTF8(bytes) {
      throw Fault(.malformed, "is not valid UTF-8", offset: UInt64(offset))
    }
  }

  /// Walks over `bytes` and returns what `body` makes of them.
  ///
  /// - Throws: what `body` throws, and `.malformed` where the bytes are not UTF-8.
  package static func read<Value>(
    _ bytes: [UInt8], _ body: (inout JSONCursor) throws(Fault) -> Value
  ) throws(Fault) -> Value {
    try bytes.withUnsafeBufferPointer { buffer throws(Fault) in
      var cursor = try JSONCursor(buffer)
      return try body(&cursor)
    }
  }

  /// The next byte without taking it, nil at the end.
  package var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Passes over white space.
  package mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  /// The text from an earlier position up to here.
  package func text(from start: Int) -> String {
    String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
  }

  /// Takes `byte` if it comes next after white space.
  package mutating func take(_ byte: UInt8) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  /// Takes `byte` after white space, or throws what stands there instead.
  package mutating func expect(_ byte: UInt8) throws(Fault) {
    if !take(byte) { throw unexpected("'\(Character(UnicodeScalar(byte)))'") }
  }

  /// Takes a literal such as `null`.
  package mutating func expect(literal: StaticString) throws(Fault) {
    for index in 0..<literal.utf8CodeUnitCount {
      guard position < bytes.count, bytes[position] == literal.utf8Start[index] else {
        throw unexpected("\(literal)")
      }
      position += 1
    }
  }

  /// Only white space may follow.
  package mutating func expectEnd() throws(Fault) {
    skipSpace()
    if position < bytes.count { throw unexpected("the end of the text") }
  }

  /// A fault that names what stands at the current position.
  package func unexpected(_ expected: String) -> Fault {
    let found =
      peek.map { $0 < 0x20 || $0 > 0x7E ? "byte \($0)" : "'\(Character(UnicodeScalar($0)))'" }
      ?? "the end of the text"
    return Fault(
      .malformed, "is not valid JSON", offset: UInt64(position), expected: expected, found: found)
  }

  /// Takes a string after white space and returns its value.
  ///
  /// - Parameter nulAllowed: whether `\u0000` may stand in it. No name may hold one: C libraries
  ///   would cut it short there.
  /// - Throws: `.malformed` for control characters, unknown escapes, lone surrogates, NUL.
  package mutating func string(nulAllowed: Bool = false) throws(Fault) -> String {
    try withString(nulAllowed: nulAllowed) { String(decoding: $0, as: UTF8.self) }
  }

  /// The same where its bytes lie.
  package mutating func withString<Value>(
    nulAllowed: Bool = false, _ body: (UnsafeBufferPointer<UInt8>) -> Value
  ) throws(Fault) -> Value {
    try expect(UInt8(ascii: "\""))
    let start = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") {
        position += 1
        return body(UnsafeBufferPointer(rebasing: bytes[start..<(position - 1)]))
      }
      if byte == UInt8(ascii: "\\") {
        return try escapedString(from: start, nulAllowed).withUnsafeBufferPointer(body)
      }
      if byte < 0x20 { throw unexpected("no control character in a string") }
      position += 1
    }
    throw unexpected("the end of a string")
  }

  /// The slow path of a string: continues at the first backslash.
  private mutating func escapedString(
    from start: Int, _ nulAllowed: Bool
  ) throws(Fault) -> [UInt8] {
    var text = Array(bytes[start..<position])
    while position < bytes.count {
      let byte = bytes[position]
      if byte < 0x20 { throw unexpected("no control character in a string") }
      position += 1
      if byte == UInt8(ascii: "\"") { return text }
      if byte != UInt8(ascii: "\\") {
        text.append(byte)
        continue
      }
      let scalar = try escape()
      if scalar.value == 0 && !nulAllowed {
        throw Fault(.malformed, "holds a NUL character in a name", offset: UInt64(position))
      }
      text.append(contentsOf: Array(String(Character(scalar)).utf8))
    }
    throw unexpected("the end of a string")
  }

  /// Takes what follows a backslash.
  private mutating func escape() throws(Fault) -> UnicodeScalar {
    guard let byte = peek else { throw unexpected("an escape") }
    let simple: [UInt8: UnicodeScalar] = [
      UInt8(ascii: "\""): "\"", UInt8(ascii: "\\"): "\\", UInt8(ascii: "/"): "/",
      UInt8(ascii: "b"): "\u{8}", UInt8(ascii: "f"): "\u{C}", UInt8(ascii: "n"): "\n",
      UInt8(ascii: "r"): "\r", UInt8(ascii: "t"): "\t",
    ]
    if let scalar = simple[byte] {
      position += 1
      return scalar
    }
    guard byte == UInt8(ascii: "u") else { throw unexpected("an escape") }
    position += 1
    let first = try hexadecimal()
    if let scalar = UnicodeScalar(first) { return scalar }
    // What is no scalar is a surrogate: a pair must follow.
    guard first < 0xDC00 else { throw unexpected("a high surrogate first") }
    try expect(literal: "\\u")
    let second = try hexadecimal()
    guard (0xDC00..<0xE000).contains(second),
      let scalar = UnicodeScalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw unexpected("a low surrogate") }
    return scalar
  }

  private mutating func hexadecimal() throws(Fault) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
        throw unexpected("four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  /// Takes a number after white space and returns the range of its text, and whether it is written
  /// as an integer.
  package mutating func number() throws(Fault) -> (range: Range<Int>, isInteger: Bool) {
    skipSpace()
    let start = position
    if peek == UInt8(ascii: "-") { position += 1 }
    if peek == UInt8(ascii: "0") {
      position += 1
    } else {
      try digits()
    }
    var isInteger = true
    if peek == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      try digits()
    }
    if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    return (start..<position, isInteger)
  }

  private mutating func digits() throws(Fault) {
    let start = position
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    if position == start { throw unexpected("a digit") }
  }

  /// Takes a number whose value is whole, however it is written (some tools write `1.0`).
  ///
  /// - Returns: nil where it is not whole or beyond 2⁵³, where a float no longer counts exactly.
  package mutating func wholeNumber() throws(Fault) -> Int? {
    let (range, isInteger) = try number()
    let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[range]), as: UTF8.self)
    if isInteger { return Int(text) }
    return Double(text).flatMap { abs($0) <= 0x1p53 ? Int(exactly: $0) : nil }
  }

  /// Passes over any value; of what nobody reads, Python's numbers that are not finite may be.
  ///
  /// - Parameter depth: levels that the value may nest.
  package mutating func skipValue(depth: Int = 16) throws(Fault) {
    guard depth > 0 else {
      throw Fault(.malformed, "is nested too deeply", offset: UInt64(position))
    }
    skipSpace()
    switch peek {
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      let isObject = peek == UInt8(ascii: "{")
      position += 1
      let close = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
      if take(close) { return }
      repeat {
        if isObject {
          _ = try string()
          try expect(UInt8(ascii: ":"))
        }
        try skipValue(depth: depth - 1)
      } while take(UInt8(ascii: ","))
      try expect(close)
    case UInt8(ascii: "\""): _ = try string(nulAllowed: true)
    case UInt8(ascii: "t"): try expect(literal: "true")
    case UInt8(ascii: "f"): try expect(literal: "false")
    case UInt8(ascii: "n"): try expect(literal: "null")
    default: if try !skipPythonNumber() { _ = try number() }
    }
  }

  /// Passes over what Python writes for numbers that are not finite; false where something else
  /// stands there.
  mutating func skipPythonNumber() throws(Fault) -> Bool {
    let isNegative = peek == UInt8(ascii: "-")
    let next = position + (isNegative ? 1 : 0)
    guard next < bytes.count else { return false }
    switch (bytes[next], isNegative) {
    case (UInt8(ascii: "N"), false): try expect(literal: "NaN")
    case (UInt8(ascii: "I"), false): try expect(literal: "Infinity")
    case (UInt8(ascii: "I"), true): try expect(literal: "-Infinity")
    default: return false
    }
    return true
  }

  /// Takes an integer that is not negative and fits `Int`.
  package mutating func count() throws(Fault) -> Int {
    skipSpace()
    let start = position
    var value = 0
    while position < bytes.count, case let digit = Int(bytes[position]) - 0x30, 0...9 ~= digit {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(digit)
      if overflow || carry {
        throw Fault(
          .malformed, "holds a number beyond 64 bits", offset: UInt64(start),
          expected: "at most \(Int.max)")
      }
      value = sum
      position += 1
    }
    let isPlain = position - start == 1 || (position > start && bytes[start] != 0x30)
    switch peek {
    case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
      throw unexpected("a whole number")
    default: if !isPlain { throw unexpected("a whole number that is not negative") }
    }
    return value
  }
}

/// Offset of the first byte that breaks UTF-8, nil where there is none.
private func firstInvalidUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
  // Almost all text is ASCII: pass over it eight bytes at a time.
  var start = 0
  let raw = UnsafeRawBufferPointer(bytes)
  while start + 8 <= bytes.count,
    raw.loadUnaligned(fromByteOffset: start, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
  { start += 8 }
  var iterator = bytes[start...].makeIterator()
  var decoder = UTF8()
  var offset = start
  while true {
    switch decoder.decode(&iterator) {
    case .scalarValue(let scalar): offset += UTF8.width(scalar)
    case .emptyInput: return nil
    case .error: return offset
    }
  }
}
