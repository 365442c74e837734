/// A pattern for names: `*` matches any run of characters (dots included), `?` exactly one.
package struct Glob: Sendable, Hashable {
  private let pattern: [UInt8]

  /// Makes a pattern; every text is one.
  package init(_ pattern: String) {
    self.pattern = Array(pattern.utf8)
  }

  /// Whether the whole of `name` matches. Linear in the product of both lengths at the worst.
  package func matches(_ name: String) -> Bool {
    let text = Array(name.utf8)
    var position = 0
    var index = 0
    var star: (index: Int, position: Int)?
    while position < text.count {
      if index < pattern.count, pattern[index] == UInt8(ascii: "*") {
        star = (index, position)
        index += 1
      } else if index < pattern.count,
        pattern[index] == UInt8(ascii: "?") || pattern[index] == text[position]
      {
        index += 1
        position += 1
      } else if let last = star {
        // Let the last star take one character more, and try again behind it.
        star = (last.index, last.position + 1)
        index = last.index + 1
        position = last.position + 1
      } else {
        return false
      }
    }
    return pattern[index...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
