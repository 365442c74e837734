/// Where the bytes of a file come from that does not lie in this machine's file system.
///
/// It vouches for them: every byte that it hands out is of the same contents that the file had when it
/// was opened, or reading is a fault.
package protocol ByteSource: Sendable {
  /// Fills `buffer` from `offset` on; the range lies inside the file.
  ///
  /// - Throws: `.inputOutput` where it cannot be read, `.malformed` where the contents are others by
  ///   now.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Fault)

  /// SHA-256 of the file in hexadecimal digits, where its keeper says it.
  var sha256: String? { get }

  /// Takes note that a range will be read, after those that were named before it.
  func fetchAhead(_ range: Range<Int>)

  /// Takes note that a range will not be read again.
  func dropCache(_ range: Range<Int>)
}

extension InputFile {
  /// Opens a file that lies elsewhere.
  ///
  /// - Parameters:
  ///   - source: where its bytes come from.
  ///   - path: its name in messages.
  ///   - size: its size in bytes.
  ///   - tag: what its keeper calls these contents, and no others.
  package convenience init(distant source: any ByteSource, path: String, size: Int, tag: String) {
    self.init(
      source: source, path: path, size: size, version: FileVersion(distantOfSize: size, tag: tag))
  }
}
