/// What the two copies of a journal hold together: every line that is whole in either.
///
/// A line is eight hexadecimal digits, a blank, a text and a line feed; the digits are the text's
/// CRC-32C. Both copies have the same bytes, so that a line is looked for at the same place in both,
/// and one that is damaged, cut off or never written in one of them is taken from the other.
package struct JournalText: Sendable, Hashable {
  /// Bytes that are no whole line in either copy, with whole lines behind them.
  package struct Gap: Sendable, Hashable {
    /// Where they begin.
    package let offset: Int
    /// How many there are.
    package let count: Int
  }

  /// The whole lines, in their order.
  package private(set) var lines: [String] = []
  /// What is damaged in both copies, in its order.
  package private(set) var gaps: [Gap] = []
  /// Bytes behind the last whole line, which a crash left of one that was being written.
  package private(set) var tornBytes = 0
  /// What both copies should hold: the lines, and the gaps as they are.
  let bytes: [UInt8]

  /// Whether the first line is whole.
  package var hasHead: Bool { !lines.isEmpty && gaps.first?.offset != 0 }

  /// No line.
  package init() { bytes = [] }

  /// Reads both copies.
  ///
  /// - Throws: `.cannotCreate` where each holds a whole line at the same place and the two differ,
  ///   which no crash and no damage brings about.
  package init(_ journal: [UInt8], copy: [UInt8], file: String) throws(Fault) {
    let end = max(journal.count, copy.count)
    var readers = (LineReader(journal), LineReader(copy))
    var bytes: [UInt8] = []
    var place = 0
    while place < end {
      let (one, other) = (readers.0.line(at: place), readers.1.line(at: place))
      if let one, let other, one != other {
        throw Fault(
          .cannotCreate, "and its copy say different things", file: file, offset: UInt64(place),
          expected: one.text, found: other.text)
      }
      if let line = one ?? other {
        bytes += line.bytes
        lines.append(line.text)
        place = bytes.count
        continue
      }
      // Whatever a newline of either is before may be a line.
      let next = [readers.0.lineBehind(place), readers.1.lineBehind(place)].compactMap { $0 }.min()
      guard let next else { break }
      gaps.append(Gap(offset: place, count: next - place))
      let longer = journal.count >= next ? journal : copy
      bytes += longer[place..<next]
      place = next
    }
    tornBytes = end - place
    self.bytes = bytes
  }
}

/// Looks for whole lines in one copy of a journal.
private struct LineReader {
  struct Line: Hashable {
    let text: String
    let bytes: ArraySlice<UInt8>

    static func == (one: Line, other: Line) -> Bool { one.bytes.elementsEqual(other.bytes) }
  }

  private let bytes: [UInt8]
  /// The first line feed from some place on.
  private var feed = -1
  /// What was found behind an earlier place, which is found behind all that lie before it: nothing
  /// where nobody has looked, or there is none.
  private var behind: (hasLooked: Bool, line: Int?) = (false, nil)
  /// How often a line that ends there has been tried.
  private var tries = 0
  /// Digits and the blank.
  private static let prefix = 9
  /// Beginnings that are tried for one end: what other bytes say about beginnings must not make the
  /// reading of long lines quadratic.
  private static let mostTries = 4

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The line at a place, which is never before an earlier one's; nil where there is no whole one.
  mutating func line(at place: Int) -> Line? {
    guard place < bytes.count else { return nil }
    if feed < place {
      feed = bytes[place...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
      tries = 0
    }
    tries += 1
    guard tries <= LineReader.mostTries, feed < bytes.count else { return nil }
    return LineReader.line(bytes[place...feed])
  }

  /// Where the next whole line behind a place begins, which is never before an earlier one's.
  mutating func lineBehind(_ place: Int) -> Int? {
    // What one copy has must not be looked for anew at each gap of the other.
    if !behind.hasLooked || behind.line.map({ $0 <= place }) ?? false {
      behind = (true, search(place))
    }
    return behind.line
  }

  private func search(_ place: Int) -> Int? {
    var start = place
    while start < bytes.count, let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      if start > place, LineReader.line(bytes[start...end]) != nil { return start }
      start = end + 1
    }
    return nil
  }

  /// Checks one that has its line feed.
  private static func line(_ bytes: ArraySlice<UInt8>) -> Line? {
    guard bytes.count > prefix else { return nil }
    let content = bytes.dropFirst(prefix).dropLast()
    let sum = content.withUnsafeBytes { CRC32C($0) }
    guard bytes.prefix(prefix).elementsEqual("\(sum.text) ".utf8),
      let text = String(validating: content, as: UTF8.self)
    else { return nil }
    return Line(text: text, bytes: bytes)
  }
}
