internal import CPlatform
internal import Glibc

/// A new file that is written from start to end and flushed to disk as it grows.
///
/// Dirty pages are sent to the disk one window behind the writing and dropped from the cache once
/// they are there. Left to itself the kernel collects gigabytes and then stops the writer: the
/// platform facts measured 0.35–0.65 GB/s that way and 3.4 GB/s this way.
package final class OutputFile {
  /// The path as it is named in messages.
  package let path: String
  /// Bytes written so far.
  package private(set) var count = 0
  private var descriptor: Int32
  /// Whether `finish` has closed the file.
  var isFinished: Bool { descriptor < 0 }
  /// Whether no flush has failed: the system reports a failure once, and what it lost is lost even
  /// if later ones succeed.
  package private(set) var isSound = true
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
  package init(creating path: String, shownAs name: String? = nil) throws(Fault) {
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    self.path = name ?? path
    guard descriptor >= 0 else { throw creatingFault(errno, path: self.path) }
  }

  /// Opens a file that an earlier run left, cuts it after its first `count` bytes and goes on there.
  ///
  /// - Throws: `.inputOutput` where it is not there or shorter.
  init(continuing path: String, after count: Int, shownAs name: String) throws(Fault) {
    descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
    self.path = name
    var status = stat()
    // Under another name of its own the file could be anybody's.
    guard descriptor < 0 || fstat(descriptor, &status) != 0 || status.st_nlink < 2 else {
      throw Fault(.cannotCreate, "has other names and is not continued", file: path)
    }
    guard descriptor >= 0, fstat(descriptor, &status) == 0, Int(status.st_size) >= count,
      ftruncate(descriptor, off_t(count)) == 0,
      lseek(descriptor, off_t(count), SEEK_SET) == off_t(count)
    else {
      throw Fault(
        .inputOutput, "cannot be continued", file: path, offset: UInt64(count),
        found: reason(errno))
    }
    (self.count, started, settled) = (count, count, count)
  }

  /// Opens a file that several runs write, each its own bytes, and goes on at byte `start`; what
  /// stands elsewhere in it stays.
  ///
  /// - Throws: `.cannotCreate` with the system's reason.
  init(sharing path: String, from start: Int, shownAs name: String) throws(Fault) {
    descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    self.path = name
    var status = stat()
    guard descriptor >= 0, fstat(descriptor, &status) == 0,
      lseek(descriptor, off_t(start), SEEK_SET) == off_t(start)
    else { throw creatingFault(errno, path: name) }
    guard status.st_nlink < 2 else {
      throw Fault(.cannotCreate, "has other names and is not continued", file: path)
    }
    (count, started, settled) = (start, start, start)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Lets other runs see that somebody is at work on the file, for as long as it is open.
  func lock() {
    // Where the file system knows no locks, an unfinished file looks like one that was left.
    _ = fathom_lock(descriptor, 1)
  }

  /// Makes writing beyond the limit that the user has set for files (`ulimit -f`) a fault like any
  /// other; by default it ends the process.
  package static func meetLimits() { signal(SIGXFSZ, SIG_IGN) }

  /// Writes `bytes` at the end.
  ///
  /// - Throws: `.cannotCreate` where space or quota ran out, `.inputOutput` for all else.
  package func append(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
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
  package func append(_ bytes: [UInt8]) throws(Fault) {
    try bytes.span.bytes.withUnsafeBytes { raw throws(Fault) in try append(raw) }
  }

  /// Takes over all bytes of another file by sharing its blocks: nothing is copied, and what either
  /// file is given later the other one does not get. Nothing has been written before.
  ///
  /// - Returns: whether the file system does that; where it does not the file is empty as before.
  /// - Throws: as `append` does, where it cannot be emptied again.
  package func clone(_ input: InputFile) throws(Fault) -> Bool {
    precondition(count == 0 && descriptor >= 0)
    // A failing disk fails whoever writes next too. A file that grew is not the one that was read.
    guard let source = input.ownDescriptor, fathom_clone(descriptor, source) == 0,
      lseek(descriptor, 0, SEEK_END) == off_t(input.size)
    else {
      guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
        throw writingFault(errno)
      }
      return false
    }
    (count, started, settled) = (input.size, input.size, input.size)
    return true
  }

  /// Goes on behind the next bytes, which stand there already.
  ///
  /// - Throws: `.inputOutput` where the system cannot.
  package func pass(_ bytes: Int) throws(Fault) {
    guard lseek(descriptor, off_t(count + bytes), SEEK_SET) >= 0 else { throw writingFault(errno) }
    count += bytes
    try writeBehind()
  }

  /// Writes over the first bytes, which were written before.
  ///
  /// - Throws: as `append` does.
  package func replaceBeginning(_ bytes: [UInt8]) throws(Fault) {
    precondition(bytes.count <= count && descriptor >= 0)
    try PlacedOutput(path: path, descriptor: descriptor).write(bytes, at: 0)
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
      if code == EIO || code == ENOSPC || code == EDQUOT {
        isSound = false
        throw writingFault(code)
      }
      posix_fadvise(descriptor, off_t(settled), off_t(window), POSIX_FADV_DONTNEED)
      settled += window
    }
  }

  /// What another thread can flush while this one goes on writing; valid until `finish`.
  package var flush: OutputFlush { OutputFlush(path: path, descriptor: descriptor, count: count) }

  /// Flushes everything to the disk and closes the file.
  ///
  /// - Throws: `.cannotCreate` or `.inputOutput`: some systems report a full disk only here.
  package func finish() throws(Fault) {
    precondition(descriptor >= 0, "finished twice")
    isSound = false
    guard fdatasync(descriptor) == 0 else { throw writingFault(errno) }
    posix_fadvise(descriptor, off_t(settled), 0, POSIX_FADV_DONTNEED)
    let closing = descriptor
    descriptor = -1
    guard close(closing) == 0 else { throw writingFault(errno) }
    isSound = true
  }

  private func writingFault(_ code: Int32) -> Fault {
    Platform.writingFault(code, path: path, offset: count)
  }

  /// Makes the file `size` bytes long; what has not been written yet is then written in any order.
  ///
  /// - Throws: as `append` does.
  package func placed(size: Int) throws(Fault) -> PlacedOutput {
    precondition(size >= count && descriptor >= 0)
    // Space that is found before is not looked for page by page; where it cannot be, writing says so.
    _ = fathom_reserve(descriptor, Int64(count), Int64(size - count))
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw writingFault(errno) }
    (count, started, settled) = (size, size, size)
    return PlacedOutput(path: path, descriptor: descriptor)
  }
}

/// The bytes that a file had at some time, to be flushed to the disk.
package struct OutputFlush: Sendable {
  fileprivate let path: String
  fileprivate let descriptor: Int32
  fileprivate let count: Int

  /// Waits until they are on the disk.
  ///
  /// - Throws: `.cannotCreate` where space or quota ran out, `.inputOutput` for all else. The
  ///   system reports a failure once: what was written is not safe even if a second try succeeds.
  package func run() throws(Fault) {
    guard fdatasync(descriptor) == 0 else { throw writingFault(errno, path: path, offset: count) }
  }
}
