internal import CPlatform
internal import Glibc

/// A file of lines that only grows, and that one process at a time may have.
///
/// Each line stands behind its checksum, so that one that a crash tore is told from a whole one; it
/// and what follows it count for nothing. The lock is the system's: it ends with the process,
/// however that ends.
public final class Journal {
  /// Its path.
  public let path: String
  /// The lines that it held when it was opened.
  public private(set) var lines: [String] = []
  private var descriptor: Int32
  /// Bytes of whole lines.
  private var count = 0
  /// More than any conversion writes; something else stands there then.
  private static let sizeLimit = 256 << 20

  /// Opens or creates the file and locks it.
  ///
  /// - Parameter owner: what messages call the file's purpose.
  /// - Returns: nil where the file was taken away meanwhile, so that another try makes sense.
  /// - Throws: `.cannotCreate` where another process has it or it cannot be created.
  init?(claiming path: String, for owner: String) throws(Fault) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o666)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw creatingFault(errno, path: path)
    }
    let code = fathom_lock(descriptor)
    guard code != EWOULDBLOCK else {
      throw Fault(.cannotCreate, "is being written by another run of fathom", file: owner)
    }
    // Where the file system knows no locks, the work goes on without.
    var (here, there) = (stat(), stat())
    if fstat(descriptor, &here) == 0 { try WorkFolder.requireOwn(journal: path, here) }
    guard fstat(descriptor, &here) == 0, lstat(path, &there) == 0, here.st_ino == there.st_ino,
      here.st_dev == there.st_dev
    else { return nil }
    try read(size: Int(here.st_size))
  }

  deinit { close() }

  /// Lets go of the file and its lock.
  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  private func read(size: Int) throws(Fault) {
    guard size <= Journal.sizeLimit else {
      throw Fault(.cannotCreate, "is no journal of fathom", file: path, found: "\(size) bytes")
    }
    let bytes = try InputFile(path: path).read(at: 0, count: size)
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      let text = String(decoding: line.dropFirst(9), as: UTF8.self)
      // The last piece has no end: a torn line, or nothing.
      guard line.endIndex < bytes.count,
        Array(line.prefix(9)) == Array("\(CRC32C(text).text) ".utf8)
      else { break }
      lines.append(text)
      count = line.endIndex + 1
    }
    // Lines behind a torn one must not come back to life behind one that takes its place.
    guard count == size || ftruncate(descriptor, off_t(count)) == 0 else {
      throw writingFault(errno, path: path, offset: count)
    }
  }

  /// Forgets all lines.
  ///
  /// - Throws: `.inputOutput` where the system refuses.
  func restart() throws(Fault) {
    guard ftruncate(descriptor, 0) == 0 else { throw writingFault(errno, path: path, offset: 0) }
    lines = []
    count = 0
  }

  /// Reserves disk for lines to come, so that progress can be noted on a disk that is full.
  public func reserve(_ bytes: Int) {
    // Not every file system can; it is then as if the disk had been a little fuller.
    _ = fathom_reserve(descriptor, Int64(count), Int64(bytes))
  }

  /// Writes lines behind those that are there and flushes the file to disk.
  ///
  /// - Parameter isDurable: whether to wait for the disk.
  /// - Throws: `.cannotCreate` where space or quota ran out, `.inputOutput` for all else.
  public func append(_ texts: [String], isDurable: Bool = true) throws(Fault) {
    let bytes = texts.flatMap { "\(CRC32C($0).text) \($0)\n".utf8 }
    var done = 0
    while done < bytes.count {
      let written = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(count + done))
      }
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw writingFault(errno, path: path, offset: count + done) }
      done += written
    }
    if isDurable, fdatasync(descriptor) != 0 {
      throw writingFault(errno, path: path, offset: count)
    }
    count += bytes.count
  }
}
