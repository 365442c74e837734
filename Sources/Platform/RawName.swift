internal import Glibc

/// The name of an entry of a folder: bytes, which need not be UTF-8.
package struct RawName: Sendable, Hashable {
  /// Its bytes; none is 0 or a slash.
  package let bytes: [UInt8]

  /// Wraps bytes.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Wraps a text's bytes.
  package init(_ text: String) { bytes = Array(text.utf8) }

  /// Wraps a name's bytes.
  package init(_ name: ExactText) { bytes = Array(name.utf8) }

  /// The name for messages, which escape it: bytes that are no UTF-8 are written as their numbers.
  package var shown: String { Folder.escaped(bytes) }

  /// Whether the name begins with the bytes of an ASCII text.
  package func begins(with text: StaticString) -> Bool {
    text.withUTF8Buffer { bytes.starts(with: $0) }
  }

  /// Whether the name ends with the bytes of an ASCII text.
  package func ends(with text: StaticString) -> Bool {
    text.withUTF8Buffer { $0.count <= bytes.count && bytes.suffix($0.count).elementsEqual($0) }
  }

  /// Whether the name is an ASCII text.
  package func equals(_ text: StaticString) -> Bool {
    text.withUTF8Buffer { bytes.elementsEqual($0) }
  }

  /// Hands the name to the system.
  func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    let terminated = bytes.map { CChar(bitPattern: $0) } + [0]
    return terminated.withUnsafeBufferPointer { body($0.baseAddress!) }
  }
}
