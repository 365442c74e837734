internal import Glibc

/// A file without a name for what does not fit into memory: it is gone when this object is, however
/// the process ends.
package final class ScratchFile: Sendable {
  /// The folder that it lies in, for messages.
  private let folder: String
  private let descriptor: Int32

  /// Makes an empty file in the folder where `destination` will be, whose disk the user has chosen.
  ///
  /// - Throws: `.cannotCreate` with the system's reason.
  package init(beside destination: OutputPath) throws(Fault) {
    folder = Folder.parent(of: destination.path)
    let name = destination.temporaryName()
    descriptor = open(name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw Fault(.cannotCreate, "takes no scratch file", file: folder, found: reason(errno))
    }
    unlink(name)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Writes `bytes` from `offset` on; different threads write different bytes.
  ///
  /// - Throws: `.cannotCreate` where space or quota ran out, `.inputOutput` for all else.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
    try PlacedOutput(path: folder, descriptor: descriptor).write(bytes, at: offset)
  }

  /// Reads what was written from `offset` on.
  ///
  /// - Throws: `.inputOutput` where reading fails.
  package func read(at offset: Int, into bytes: UnsafeMutableRawBufferPointer) throws(Fault) {
    var done = 0
    while done < bytes.count {
      let count = pread(
        descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        throw Fault(
          .inputOutput, "a scratch file in it cannot be read", file: folder,
          offset: UInt64(offset + done), found: count < 0 ? reason(errno) : "the file's end")
      }
      done += count
    }
  }
}
