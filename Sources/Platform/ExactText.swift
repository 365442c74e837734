internal import Glibc

/// A name or another text that is the bytes it is written with, and equals only the same bytes.
///
/// Swift's strings are equal where a reader would find them so, composed letters and decomposed
/// ones, and their parts are what a reader takes for a letter: `"/"` before a combining mark is no
/// separator there. To a file system, to a file's format and to a tokenizer it is one, and other
/// bytes are another name. So names of tensors and files are kept in this type; what it counts and
/// cuts at is bytes.
///
/// Other rooms see into how it compares and hashes: sets and dictionaries of names, which are what
/// work on a million of them is made of, would otherwise take 7 % longer.
@usableFromInline
package struct ExactText: Hashable, Sendable {
  /// The text.
  @usableFromInline
  package let text: String

  /// Wraps a text.
  package init(_ text: String) { self.text = text }

  /// Wraps a part of a text.
  package init(_ text: Substring) { self.text = String(text) }

  /// Takes bytes that are a text or parts of one cut between characters.
  init(_ bytes: Substring.UTF8View) { text = String(Substring(bytes)) }

  /// Whether both have the same bytes.
  @inlinable
  package static func == (one: ExactText, other: ExactText) -> Bool {
    one.withBytes { bytes in other.withBytes { bytes.count == $0.count && bytes.begins(with: $0) } }
  }

  /// Hands the bytes out, where they lie.
  @inlinable
  package func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    // Without a copy of the text, which would be counted; short ones have no span in memory.
    text.utf8.withContiguousStorageIfAvailable(body)
      ?? Array(text.utf8).withUnsafeBufferPointer(body)
  }

  /// Hashes the bytes.
  @inlinable
  package func hash(into hasher: inout Hasher) {
    withBytes { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// Whether these bytes begin with others.
  @usableFromInline
  package func begins(with others: UnsafeBufferPointer<UInt8>) -> Bool {
    guard let start = others.baseAddress, let bytes = baseAddress else { return others.isEmpty }
    return others.count <= count && memcmp(bytes, start, others.count) == 0
  }
}

extension ExactText: Comparable {
  /// The order of the bytes.
  @usableFromInline
  package static func < (one: ExactText, other: ExactText) -> Bool {
    one.text.utf8.lexicographicallyPrecedes(other.text.utf8)
  }
}

extension ExactText: ExpressibleByStringInterpolation, CustomStringConvertible {
  /// Wraps a literal.
  @usableFromInline
  package init(stringLiteral text: String) { self.text = text }

  /// The text.
  @usableFromInline
  package var description: String { text }
}

extension ExactText {
  /// The bytes.
  package var utf8: String.UTF8View { text.utf8 }

  /// Whether there are none.
  package var isEmpty: Bool { text.utf8.isEmpty }

  /// Whether it is a number as names have them: up to nine digits, and no zero before others.
  package var isNumber: Bool {
    (1...9).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
      && (text.utf8.first != 0x30 || text.utf8.count == 1)
  }

  /// Whether the bytes begin with those of another text.
  package func hasPrefix(_ prefix: ExactText) -> Bool {
    withBytes { bytes in prefix.withBytes { bytes.begins(with: $0) } }
  }

  /// Whether the bytes end with those of another text.
  package func hasSuffix(_ suffix: ExactText) -> Bool {
    withBytes { bytes in
      suffix.withBytes { end in
        end.count <= bytes.count
          && UnsafeBufferPointer(rebasing: bytes[(bytes.count - end.count)...]).begins(with: end)
      }
    }
  }

  /// Whether the bytes of another text stand in it.
  package func contains(_ part: ExactText) -> Bool {
    withBytes { bytes in
      part.withBytes { wanted in
        guard let first = wanted.first else { return true }
        return (0..<max(0, bytes.count - wanted.count + 1)).contains { place in
          bytes[place] == first
            && UnsafeBufferPointer(rebasing: bytes[place...]).begins(with: wanted)
        }
      }
    }
  }

  /// What is left without a beginning; nil where it begins otherwise.
  package func without(prefix: ExactText) -> ExactText? {
    hasPrefix(prefix) ? ExactText(text.utf8.dropFirst(prefix.text.utf8.count)) : nil
  }

  /// What is left without an end; nil where it ends otherwise.
  package func without(suffix: ExactText) -> ExactText? {
    hasSuffix(suffix) ? ExactText(text.utf8.dropLast(suffix.text.utf8.count)) : nil
  }

  /// The parts between bytes that are an ASCII character, empty ones too.
  package func split(
    separator: Unicode.Scalar, maxSplits: Int = Int.max
  ) -> [ExactText] {
    text.utf8.split(
      separator: UInt8(ascii: separator), maxSplits: maxSplits, omittingEmptySubsequences: false
    ).map { ExactText($0) }
  }

  /// The text with every place of a part of it filled by another.
  package func replacing(_ part: ExactText, with other: ExactText) -> ExactText {
    var result: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.first {
      let isPart = !part.isEmpty && rest.starts(with: part.text.utf8)
      if isPart { result += other.text.utf8 } else { result.append(byte) }
      rest = rest.dropFirst(isPart ? part.text.utf8.count : 1)
    }
    return ExactText(String(decoding: result, as: UTF8.self))
  }

  /// One text behind another.
  package static func + (one: ExactText, other: ExactText) -> ExactText {
    ExactText(one.text + other.text)
  }

  /// The text with what cannot be shown escaped.
  package var printable: OutputText { text.printable }
}

extension ArraySlice<UInt8> {
  /// Where bytes first stand; the standard library's search would link its regular expressions.
  package func place(of part: [UInt8]) -> Range<Int>? {
    indices.first { self[$0...].starts(with: part) }.map { $0..<$0 + part.count }
  }
}

extension Sequence<ExactText> {
  /// The texts behind each other.
  package func joined(separator: String = "") -> String { map(\.text).joined(separator: separator) }
}
