/// A number of bytes as people write it: `5GB` (10⁹, as Hugging Face counts), `512MiB` (2²⁰), `100`.
package struct ByteSize: Sendable, Hashable {
  /// The number of bytes.
  package let bytes: Int

  /// Units with their sizes; the longest that fits the end of a text is meant.
  private static let units: [(name: String, size: Int)] = [
    ("KIB", 1 << 10), ("MIB", 1 << 20), ("GIB", 1 << 30), ("TIB", 1 << 40),
    ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
  ]

  /// Wraps a number of bytes.
  package init(bytes: Int) { self.bytes = bytes }

  /// Reads a positive size; returns nil for anything else. A fraction is allowed: `1.5GB`.
  package init?(_ text: String) {
    let upper = text.uppercased()
    let unit = ByteSize.units.first { upper.hasSuffix($0.name) }
    let digits = upper.dropLast(unit?.name.utf8.count ?? 0)
    let isPlain = digits.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
    guard isPlain, let number = Double(digits) else { return nil }
    let bytes = (number * Double(unit?.size ?? 1)).rounded(.down)
    guard bytes >= 1, bytes < 0x1p62 else { return nil }
    self.bytes = Int(bytes)
  }
}

extension ByteSize: CustomStringConvertible {
  /// The size in the largest unit that divides it: `5GB`, `512MiB`, `100B`.
  package var description: String {
    let fitting = ByteSize.units.filter { bytes % $0.size == 0 }.max { $0.size < $1.size }
    guard let unit = fitting else { return "\(bytes)B" }
    return "\(bytes / unit.size)" + unit.name.map { $0 == "I" ? "i" : String($0) }.joined()
  }
}

extension ByteSize {
  /// A number of bytes for people, in the largest unit that is not above it: `2.44 GiB`.
  package static func shown(_ bytes: Int) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"]
    guard bytes >= 1024 else { return "\(bytes) B" }
    var size = Double(bytes) / 1024
    var unit = 0
    while size >= 1024 && unit < units.count - 1 {
      size /= 1024
      unit += 1
    }
    // Two digits, half away from zero.
    let hundredths = Int((size * 100).rounded())
    let digits = hundredths % 100
    return "\(hundredths / 100).\(digits < 10 ? "0" : "")\(digits) \(units[unit])"
  }
}
