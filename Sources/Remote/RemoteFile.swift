internal import Locks
internal import Platform

/// A file on a server, read by ranges.
final class RemoteFile: ByteSource, Sendable {
  /// Its name in messages.
  let path: String
  let contents: PinnedContents
  private let courier: Courier
  private let beginnings: Beginnings
  /// Where reads that nobody named went on, and how far the next one reaches.
  private let run = Guarded<(end: Int, count: Int)>((-1, 0))

  init(_ courier: Courier, _ contents: PinnedContents, beginnings: Beginnings) {
    path = courier.path
    self.courier = courier
    self.contents = contents
    self.beginnings = beginnings
  }

  /// Its size, which is known before anything is read.
  var size: Int { contents.size ?? 0 }

  var sha256: String? { HubListing.digest(contents.hash) }

  /// Asks for a range, past what is held in memory.
  func fetch(_ range: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws(Fault) {
    try DiskCache.shared.read(self, range, into: buffer) { range, buffer throws(Fault) in
      try courier.fetch(into: RangeReceiver(range, of: contents, into: buffer))
    }
  }

  /// Asks for its beginning, to learn whether it is there and how large it is.
  ///
  /// - Returns: the beginning.
  func learn() throws(Fault) -> [UInt8] {
    let guess = beginnings.guess(for: path)
    var fault: Fault?
    let bytes = [UInt8](unsafeUninitializedCapacity: guess) { buffer, initialized in
      let receiver = RangeReceiver(
        0..<guess, of: contents, into: UnsafeMutableRawBufferPointer(buffer))
      do throws(Fault) {
        try courier.fetch(into: receiver)
        initialized = receiver.count
      } catch { fault = error }
    }
    if let fault { throw fault }
    if bytes.isEmpty { contents.note(size: 0) }
    PieceStore.shared.keep(self, beginning: bytes)
    return bytes
  }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Fault) {
    // Shorter reads only look what a file is.
    if offset == 8, buffer.count > 64 { beginnings.note(offset + buffer.count, for: path) }
    try PieceStore.shared.read(self, at: offset, into: buffer)
  }

  func fetchAhead(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    PieceStore.shared.expect(self, range)
  }

  /// Pieces go when they have been read as often as they were named.
  func dropCache(_: Range<Int>) {}

  /// Looks at what a file is end before; with one of them comes all that is asked for first.
  static let look = 1 << 12

  /// How far a small read from an offset is worth extending: headers are read from their beginning,
  /// and those of GGUF files piece by piece.
  func reach(from offset: Int) -> Int {
    if offset == 0 { return beginnings.guess(for: path) }
    return run.withLock { run in
      let count = run.end == offset ? min(run.count * 2, 1 << 22) : 1 << 12
      run = (offset + count, max(count, 1 << 14))
      return offset + count
    }
  }
}

/// How many bytes the headers of a folder's files have, learnt from those that were read: what is
/// asked for first of each further one, so that a header takes one answer and little more than it has.
final class Beginnings: Sendable {
  private let longest = Guarded<Int>(0)
  private static let first = 1 << 16
  private static let most = 1 << 18
  private static let page = 1 << 12

  /// Bytes to ask for first.
  func guess(for path: String) -> Int {
    guard ExactText(path).hasSuffix(".safetensors") else { return Beginnings.first }
    let known = longest.withLock { $0 }
    return known == 0 ? Beginnings.first : min(known, Beginnings.most)
  }

  /// Takes note of a header that ends there.
  func note(_ end: Int, for path: String) {
    guard ExactText(path).hasSuffix(".safetensors") else { return }
    let pages = (end + Beginnings.page - 1) / Beginnings.page * Beginnings.page
    longest.withLock { $0 = max($0, pages) }
  }
}
