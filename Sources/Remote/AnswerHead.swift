/// The head of an answer: its status and fields.
package struct AnswerHead: Sendable {
  /// 0 before the first line.
  private(set) var status = 0
  private var fields: [(name: String, value: String)] = []

  /// Most bytes of all lines of a head; what is longer is no head of a file.
  private static let limit = 1 << 18
  private var byteCount = 0

  /// A head before its first line.
  package init() {}

  /// Takes a line; the head of a later answer, as behind a proxy's, replaces what was there.
  ///
  /// - Returns: whether the head is of a size that heads have.
  package mutating func add(_ line: String) -> Bool {
    byteCount += line.utf8.count
    let bytes = Array(line.utf8)
    if bytes.starts(with: "HTTP/".utf8) {
      let words = line.split(separator: " ", maxSplits: 2)
      status = words.count > 1 ? Int(words[1].prefix(3)) ?? 0 : 0
      fields = []
    } else if let colon = bytes.firstIndex(of: UInt8(ascii: ":")) {
      let name = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
      let value = bytes[(colon + 1)...].drop { $0 == 0x20 || $0 == 9 }
      let end = value.lastIndex { $0 > 0x20 }.map { $0 + 1 } ?? value.startIndex
      fields.append((name, String(decoding: value[..<end], as: UTF8.self)))
    }
    return byteCount <= AnswerHead.limit
  }

  /// A field by its name in lower case; nil where it is absent or empty.
  subscript(name: String) -> String? {
    fields.last { $0.name == name }.map(\.value).flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Whether it sends whoever asks elsewhere.
  var isRedirect: Bool { [301, 302, 303, 307, 308].contains(status) && self["location"] != nil }

  /// The bytes that the body has, and those of the whole: `Content-Range` of a part, or all of them.
  package var extent: (range: Range<Int>, total: Int)? {
    if status == 200 {
      guard let count = self["content-length"].flatMap({ Int($0) }), count >= 0 else { return nil }
      return (0..<count, count)
    }
    guard status == 206, let words = self["content-range"]?.split(separator: " "),
      words.count == 2, words[0].lowercased() == "bytes"
    else { return nil }
    let parts = words[1].split(separator: "/")
    let ends = parts.first?.split(separator: "-") ?? []
    guard parts.count == 2, ends.count == 2, let total = Int(parts[1]), let first = Int(ends[0]),
      let last = Int(ends[1]), first >= 0, first <= last, last < total
    else { return nil }
    return (first..<last + 1, total)
  }

  /// What the server calls these contents: a tag that changes with them, or when they were written.
  package var tag: String? { self["etag"].map(AnswerHead.plain) ?? self["last-modified"] }

  /// A tag without its quotes and the mark of a weak one.
  static func plain(_ tag: String) -> String {
    var bytes = Array(tag.utf8)
    if bytes.starts(with: "W/".utf8) { bytes.removeFirst(2) }
    bytes.removeAll { $0 == UInt8(ascii: "\"") }
    return String(decoding: bytes, as: UTF8.self)
  }
}
