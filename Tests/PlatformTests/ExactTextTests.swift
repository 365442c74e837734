import Platform
import Testing

/// Texts that are their bytes.
@Suite struct ExactTextTests {
  private static let texts = [
    "", "a", "b", "ab", "ba", "aab", "abab", "a.b", ".", "..", "é", "e\u{301}", "/", "/\u{301}",
    "K", "\u{212A}", "model.layers.0.mlp.down_proj.weight", ".weight", "weight\u{301}", "\u{0}",
    "😀", "a😀",
  ]

  @Test func comparisonsAreThoseOfTheBytes() {
    for one in Self.texts {
      for other in Self.texts {
        let (text, part) = (ExactText(one), ExactText(other))
        let (bytes, wanted) = (Array(one.utf8), Array(other.utf8))
        #expect((text == part) == (bytes == wanted), "\(one) \(other)")
        #expect(text.hasPrefix(part) == bytes.starts(with: wanted), "\(one) \(other)")
        #expect(
          text.hasSuffix(part) == bytes.reversed().starts(with: wanted.reversed()),
          "\(one) \(other)")
        let isPart =
          wanted.isEmpty || bytes.indices.contains { bytes[$0...].starts(with: wanted) }
        #expect(text.contains(part) == isPart, "\(one) \(other)")
        if text == part { #expect(text.hashValue == part.hashValue) }
      }
    }
    #expect(Set(Self.texts.map { ExactText($0) }).count == Self.texts.count)
  }
}
