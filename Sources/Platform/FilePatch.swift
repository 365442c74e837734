internal import CPlatform
internal import Glibc

/// Bytes of a file that are exchanged for as many others where they stand, so that a failure on the
/// way, or a power cut, loses neither: before the first byte is written the old ones lie in a file
/// beside it, `.NAME.fathom-undo`, which is removed in the end.
package enum FilePatch {
  /// What an undo file begins with.
  private static let magic = Array("fathom-undo 1\n".utf8)
  /// Largest header of a file that is read, and what stands around it.
  private static let limit = (1 << 26) + 1024

  /// The file that keeps the old bytes while new ones are written.
  package static func undoPath(of path: String) -> String {
    Folder.join(Folder.parent(of: path), ".\(Folder.name(of: path)).fathom-undo")
  }

  /// Exchanges the first bytes of a file.
  ///
  /// - Parameter old: what must stand there before.
  /// - Throws: `.cannotCreate` where the file is a link, has other names, may not be written or is being
  ///   changed by another run; `.inputOutput` where writing fails, the old bytes standing there again.
  package static func replaceBeginning(
    of path: String, _ old: [UInt8], with new: [UInt8]
  ) throws(Fault) {
    precondition(old.count == new.count)
    let descriptor = try open(path)
    defer { close(descriptor) }
    guard try read(descriptor, count: old.count, path: path) == old else {
      throw Fault(.inputOutput, "has changed since it was read", file: path)
    }
    // What both have in common need not be written twice.
    let common = zip(old, new).prefix { $0 == $1 }.count
    let rest = old.count - zip(old.reversed(), new.reversed()).prefix { $0 == $1 }.count
    guard common < rest else { return }
    let undo = undoPath(of: path)
    let record = try AtomicFile(at: OutputPath(undo, overwrite: false))
    try record.file.append(contents(at: common, Array(old[common..<rest])))
    try record.commit()
    do throws(Fault) {
      try write(descriptor, Array(new[common..<rest]), at: common, path: path)
    } catch {
      var fault = error
      do throws(Fault) {
        try write(descriptor, Array(old[common..<rest]), at: common, path: path)
      } catch {
        fault.advice =
          "the bytes that stood there are kept in \(undo), and the next fathom edit puts them back"
        throw fault
      }
      try remove(undo)
      throw fault
    }
    try remove(undo)
  }

  /// Puts back what a run that was killed has left, where it left something.
  ///
  /// - Returns: whether it did.
  /// - Throws: `.malformed` where what was left is damaged or of another file.
  package static func recover(_ path: String) throws(Fault) -> Bool {
    let undo = undoPath(of: path)
    guard FileMark(at: undo) != nil else { return false }
    let bytes = try InputFile.contents(of: undo, limit: limit)
    let end = bytes.count - BLAKE3Value.byteCount
    guard bytes.starts(with: magic), end >= magic.count + 8,
      BLAKE3.hash(Array(bytes[..<end])).bytes.elementsEqual(bytes[end...])
    else { throw Fault(.malformed, "is no undo file that is whole", file: undo) }
    var offset = 0
    for byte in bytes[magic.count..<magic.count + 8].reversed() { offset = offset << 8 | Int(byte) }
    let old = Array(bytes[magic.count + 8..<end])
    let descriptor = try open(path)
    defer { close(descriptor) }
    // A file that is shorter by now is another one.
    _ = try read(descriptor, count: offset + old.count, path: path)
    try write(descriptor, old, at: offset, path: path)
    try remove(undo)
    return true
  }

  /// An undo file: the place, the bytes, and a hash of both.
  private static func contents(at offset: Int, _ old: [UInt8]) -> [UInt8] {
    let place = (0..<8).map { UInt8(truncatingIfNeeded: offset >> (8 * $0)) }
    let bytes = magic + place + old
    return bytes + BLAKE3.hash(bytes).bytes
  }

  private static func open(_ path: String) throws(Fault) -> Int32 {
    let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      guard code != ELOOP else {
        throw Fault(
          .cannotCreate, "is a symbolic link, and is not changed in place", file: path,
          expected: "the file that it leads to, or -o")
      }
      throw creatingFault(code, path: path, "cannot be changed")
    }
    var status = stat()
    var fault: Fault?
    if fstat(descriptor, &status) != 0 || status.st_mode & S_IFMT != S_IFREG {
      fault = Fault(.cannotCreate, "is no file that can be changed", file: path)
    } else if status.st_nlink > 1 {
      fault = Fault(
        .cannotCreate, "has other names, and is not changed in place", file: path,
        expected: "a file of one name, or -o")
    } else if fathom_lock(descriptor, 1) != 0 {
      fault = Fault(.cannotCreate, "is being changed by another run", file: path)
    }
    guard let fault else { return descriptor }
    close(descriptor)
    throw fault
  }

  private static func read(
    _ descriptor: Int32, count: Int, path: String
  ) throws(Fault) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + done, count - done, off_t(done))
      }
      if got < 0 && errno == EINTR { continue }
      guard got > 0 else { throw Fault(.inputOutput, "has changed since it was read", file: path) }
      done += got
    }
    return bytes
  }

  private static func write(
    _ descriptor: Int32, _ bytes: [UInt8], at offset: Int, path: String
  ) throws(Fault) {
    try PlacedOutput(path: path, descriptor: descriptor).write(bytes, at: offset)
    guard fdatasync(descriptor) == 0 else { throw writingFault(errno, path: path, offset: offset) }
  }

  private static func remove(_ path: String) throws(Fault) {
    guard unlink(path) == 0 else {
      throw Fault(.inputOutput, "cannot be removed", file: path, found: reason(errno))
    }
    try flushFolder(Folder.parent(of: path), for: path)
  }
}
