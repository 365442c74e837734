internal import Glibc

/// A file that appears under its name complete or not at all.
package final class AtomicFile {
  /// Where the file will be.
  package let destination: OutputPath
  /// What is written; give it all bytes, then call `commit`.
  package let file: OutputFile
  private let work: String
  private var isOpen = true

  /// Creates a hidden file beside the final name.
  ///
  /// - Throws: `.cannotCreate` with the system's reason.
  package init(at destination: OutputPath) throws(Fault) {
    self.destination = destination
    guard destination.replaced != .folder else {
      throw Fault(.cannotCreate, "is a folder", file: destination.path, expected: "a file name")
    }
    work = destination.temporaryName()
    file = try OutputFile(creating: work, shownAs: destination.path)
    file.lock()
  }

  deinit { discard() }

  /// Flushes the file and gives it its name.
  ///
  /// - Throws: `.cannotCreate` or `.inputOutput`; the hidden file is gone then, and what stood
  ///   there before is untouched.
  package func commit() throws(Fault) {
    precondition(isOpen)
    let old: String?
    do throws(Fault) {
      if !file.isFinished { try file.finish() }
      old = try destination.take(work, aside: destination.temporaryName())
    } catch {
      discard()
      throw error
    }
    isOpen = false
    try flushFolder(Folder.parent(of: destination.path), for: destination.path)
    if let old { _ = destination.standing?.remove(at: old) }
    Console.step("wrote \(destination.path): \(ByteSize.shown(file.count))")
  }

  /// Removes the hidden file; does nothing after `commit`.
  package func discard() {
    guard isOpen else { return }
    isOpen = false
    unlink(work)
  }
}
