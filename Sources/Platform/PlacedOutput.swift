internal import CPlatform
internal import Glibc

/// A file of known size whose pieces are written in any order, by several threads at once.
///
/// It is valid until the `OutputFile` that made it is finished.
package struct PlacedOutput: Sendable {
  /// The path as it is named in messages.
  let path: String
  let descriptor: Int32

  /// Writes `bytes` from `offset` on; different threads write different bytes.
  ///
  /// - Throws: `.cannotCreate` where space or quota ran out, `.inputOutput` for all else.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
    var done = 0
    while done < bytes.count {
      let written = pwrite(
        descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw writingFault(errno, path: path, offset: offset + done) }
      done += written
    }
  }

  /// The same of bytes in an array.
  ///
  /// - Throws: as the other does.
  package func write(_ bytes: [UInt8], at offset: Int) throws(Fault) {
    try bytes.span.bytes.withUnsafeBytes { raw throws(Fault) in try write(raw, at: offset) }
  }

  /// Sends what has been written of a range on its way to the disk and does not wait.
  package func startFlushing(_ range: Range<Int>) {
    // Not every file system has write-behind; finishing the file flushes all the same.
    _ = fathom_write_behind(descriptor, Int64(range.lowerBound), Int64(range.count), 0)
  }

  /// Waits until a range is on the disk and takes it out of the page cache.
  ///
  /// - Throws: as `write` does.
  package func settle(_ range: Range<Int>) throws(Fault) {
    let code = fathom_write_behind(descriptor, Int64(range.lowerBound), Int64(range.count), 1)
    if code == EIO || code == ENOSPC || code == EDQUOT {
      throw writingFault(code, path: path, offset: range.lowerBound)
    }
    posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
  }
}
