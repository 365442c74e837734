internal import Glibc
internal import Platform

/// An input in memory, and the path of a file that holds the same bytes for those parsers that open
/// their file themselves.
struct ParserInput: ~Copyable {
  /// The input.
  let bytes: [UInt8]
  private let descriptor: Int32

  /// Writes a file without a name, in memory where the system has such a place.
  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    var descriptor: Int32 = -1
    for folder in ["/dev/shm", "/tmp"] where descriptor < 0 {
      let ending = String(repeating: "X", count: 6)
      var name = Array("\(folder)/fathom-input-\(ending)".utf8CString)
      descriptor = mkstemp(&name)
      if descriptor >= 0 { unlink(name) }
    }
    precondition(descriptor >= 0, "no place for a file")
    let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    precondition(written == bytes.count, "no space for a file")
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Where the file can be opened.
  var path: String { "/proc/self/fd/\(descriptor)" }

  /// What stands before the first NUL, and what stands behind it: no text that is parsed here may
  /// hold one, so that an input can be two texts.
  var halves: (first: [UInt8], second: [UInt8]) {
    guard let nul = bytes.firstIndex(of: 0) else { return (bytes, []) }
    return (Array(bytes[..<nul]), Array(bytes[(nul + 1)...]))
  }

  /// The input as JSON.
  func json() throws(Fault) -> JSONValue { try JSONValue(parsing: bytes, file: "input.json") }
}
