package import Platform

/// Arrays of numbers as bytes, all first bytes before all second ones and so on: numbers that are
/// alike in their upper bytes compress well this way.
package struct BytePlaneWriter {
  /// What was written.
  package private(set) var bytes: [UInt8] = []

  /// Begins with nothing.
  package init() {}

  /// Adds integers: all lowest bytes, then all second ones and so on.
  package mutating func write<Word: FixedWidthInteger>(_ words: [Word]) {
    for shift in stride(from: 0, to: Word.bitWidth, by: 8) {
      bytes += words.map { UInt8(truncatingIfNeeded: $0 >> Word(shift)) }
    }
  }

  /// Adds ids as integers of 32 bits.
  package mutating func write(ids: [Int]) { write(ids.map { UInt32(truncatingIfNeeded: $0) }) }
  /// Adds F32 numbers.
  package mutating func write(_ values: [Float]) { write(values.map(\.bitPattern)) }
  /// Adds F64 numbers.
  package mutating func write(_ values: [Double]) { write(values.map(\.bitPattern)) }
}

/// Reads what `BytePlaneWriter` wrote.
package struct BytePlaneReader {
  private let bytes: [UInt8]
  /// The file that faults name.
  package let file: String
  /// Bytes that have been read.
  package private(set) var position: Int

  /// Begins at a byte; `file` is named in faults.
  package init(_ bytes: [UInt8], from position: Int, file: String) {
    self.bytes = bytes
    self.position = position
    self.file = file
  }

  /// Reads `count` numbers.
  ///
  /// - Throws: `.malformed` where the bytes end before.
  package mutating func words<Word: FixedWidthInteger>(
    _ count: Int, _ type: Word.Type = Word.self
  ) throws(Fault) -> [Word] {
    let width = Word.bitWidth / 8
    guard count >= 0, count <= (bytes.count - position) / width else {
      throw Fault(
        .malformed, "ends before what its header announces", file: file,
        expected: "\(count) numbers of \(width) bytes", found: "\(bytes.count - position) bytes")
    }
    var words = [Word](repeating: 0, count: count)
    for plane in 0..<width {
      for index in 0..<count {
        words[index] |=
          Word(truncatingIfNeeded: bytes[position + plane * count + index]) << Word(8 * plane)
      }
    }
    position += count * width
    return words
  }

  /// Ids below `limit`.
  package mutating func ids(_ count: Int, below limit: Int, _ what: String) throws(Fault) -> [Int] {
    let ids = try words(count, UInt32.self).map { Int($0) }
    if let wrong = ids.first(where: { $0 >= limit }) {
      throw Fault(
        .malformed, "\(what) is out of range", file: file, expected: "less than \(limit)",
        found: "\(wrong)")
    }
    return ids
  }

  /// F32 numbers, all of them finite; `what` names them in faults.
  package mutating func floats(_ count: Int, _ what: String) throws(Fault) -> [Float] {
    let values = try words(count, UInt32.self).map { Float(bitPattern: $0) }
    guard values.allSatisfy(\.isFinite) else { throw notFinite(what) }
    return values
  }

  /// F64 numbers, all of them finite; `what` names them in faults.
  package mutating func doubles(_ count: Int, _ what: String) throws(Fault) -> [Double] {
    let values = try words(count, UInt64.self).map { Double(bitPattern: $0) }
    guard values.allSatisfy(\.isFinite) else { throw notFinite(what) }
    return values
  }

  private func notFinite(_ what: String) -> Fault {
    Fault(.malformed, "\(what) is not finite", file: file, expected: "finite numbers")
  }
}
