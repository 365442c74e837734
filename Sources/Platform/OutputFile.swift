internal import CPlatform
internal import Glibc

/// A new file that is written from start to end and flushed to disk as it grows.
///
/// Dirty pages are sent to the disk one window behind the writing and dropped from the cache once
/// they are there. Left to itself the kernel collects gigabytes and then stops the writer: the
/// platform facts measured 0.35–0.65 GB/s that way and 3.4 GB/s this way.
public final class OutputFile {
  /// The path as it is named in messages.
  public let path: String
  /// Bytes written so far.
  public private(set) var count = 0
  private var descriptor: Int32
  /// Whether `finish` has closed the file.
  var isFinished: Bool { descriptor < 0 }
  /// Bytes whose way to the disk has begun.
  private var started = 0
  /// Bytes that are on the disk and out of the cache.
  private var settled = 0
  private static let window = 8 << 20
  private static let windowsInFlight = 3

  /// Creates a file that must not exist yet.
  ///
  /// - Parameter name: what messages call it, where it will be renamed; nil for its own path.
  /// - Throws: `.cannotCreate` with the system's reason.
  public init(creating path: String, shownAs name: String? = nil) throws(Fault) {
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    self.path = name ?? path
    guard descriptor >= 0 else {
      throw Fault(.cannotCreate, "cannot be created", file: self.path, found: reason(errno))
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Writes `bytes` at the end.
  ///
  /// - Throws: `.cannotCreate` where space or quota ran out, `.inputOutput` for all else.
  public func append(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
    var done = 0
    while done < bytes.count {
      // A window at a time, so that one large append is flushed behind like many small ones.
      let size = min(bytes.count - done, OutputFile.window)
      let written = write(descriptor, bytes.baseAddress! + done, size)
      if written < 0 && errno == EINTR { continue }
      guard written >= 0 else { throw writingFault(errno) }
      done += written
      count += written
      try writeBehind()
    }
  }

  /// Writes an array at the end.
  public func append(_ bytes: [UInt8]) throws(Fault) {
    var fault: Fault?
    bytes.withUnsafeBytes { raw in
      do throws(Fault) { try append(raw) } catch { fault = error }
    }
    if let fault { throw fault }
  }

  private func writeBehind() throws(Fault) {
    let window = OutputFile.window
    while count - started >= window {
      // Not every file system has write-behind; `finish` flushes all the same.
      _ = fathom_write_behind(descriptor, Int64(started), Int64(window), 0)
      started += window
    }
    while started - settled > OutputFile.windowsInFlight * window {
      let code = fathom_write_behind(descriptor, Int64(settled), Int64(window), 1)
      if code == EIO || code == ENOSPC || code == EDQUOT { throw writingFault(code) }
      posix_fadvise(descriptor, off_t(settled), off_t(window), POSIX_FADV_DONTNEED)
      settled += window
    }
  }

  /// Flushes everything to the disk and closes the file.
  ///
  /// - Throws: `.cannotCreate` or `.inputOutput`: some systems report a full disk only here.
  public func finish() throws(Fault) {
    precondition(descriptor >= 0, "finished twice")
    guard fdatasync(descriptor) == 0 else { throw writingFault(errno) }
    posix_fadvise(descriptor, off_t(settled), 0, POSIX_FADV_DONTNEED)
    let closing = descriptor
    descriptor = -1
    guard close(closing) == 0 else { throw writingFault(errno) }
  }

  private func writingFault(_ code: Int32) -> Fault {
    Platform.writingFault(code, path: path, offset: count)
  }

  /// Makes the file `size` bytes long; what has not been written yet is then written in any order.
  ///
  /// - Throws: as `append` does.
  public func placed(size: Int) throws(Fault) -> PlacedOutput {
    precondition(size >= count && descriptor >= 0)
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw writingFault(errno) }
    (count, started, settled) = (size, size, size)
    return PlacedOutput(path: path, descriptor: descriptor)
  }
}
