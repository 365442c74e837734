internal import Platform

/// A file of the hub in the cache of its programs, known by what the hub calls its contents: so runs on
/// machines of which some have it there and some read it from the hub see the same file.
struct CachedFile: ByteSource {
  let file: InputFile
  let sha256: String?

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Fault) {
    try file.read(at: offset, into: buffer)
    try file.requireUnchanged()
  }

  func fetchAhead(_ range: Range<Int>) { file.fetchAhead(at: range.lowerBound, count: range.count) }

  func dropCache(_ range: Range<Int>) { file.dropCache(at: range.lowerBound, count: range.count) }
}
