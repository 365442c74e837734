internal import CPlatform
internal import Glibc

/// A folder that is filled over several runs: each file appears under its name when it is whole, and
/// what there is of it until then lies in a hidden folder, for the next run to go on with.
package final class DownloadFolder {
  /// The folder.
  package let path: String
  private let hidden: String
  private let lock: Int32

  /// The hidden folder's name.
  package static let hiddenName: ExactText = ".fathom-fetch"
  private static let lockName: ExactText = "lock"

  /// Opens a folder, which is made where nothing has its name, and keeps other runs out of it.
  ///
  /// - Throws: `.cannotCreate` where it cannot be made, is no folder, or another run fills it.
  package init(_ path: String) throws(Fault) {
    let place = try OutputPath.place(of: path)
    guard mkdir(place, 0o777) == 0 || errno == EEXIST else {
      throw creatingFault(errno, path: path)
    }
    guard let resolved = OutputPath.resolve(place), FileMark(at: resolved)?.kind == .folder else {
      throw Fault(.cannotCreate, "is no folder", file: path)
    }
    self.path = resolved
    hidden = Folder.join(resolved, DownloadFolder.hiddenName)
    guard mkdir(hidden, 0o777) == 0 || errno == EEXIST, FileMark(at: hidden)?.kind == .folder else {
      throw creatingFault(errno, path: hidden)
    }
    let file = Folder.join(hidden, DownloadFolder.lockName)
    lock = Glibc.open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard lock >= 0 else { throw creatingFault(errno, path: file) }
    // Where the file system knows no locks, nobody is kept out.
    guard fathom_lock(lock, 1) != EWOULDBLOCK else {
      close(lock)
      throw Fault(.cannotCreate, "is being filled by another run", file: path)
    }
  }

  deinit { close(lock) }

  /// The file under its own name; nil where there is none yet.
  ///
  /// - Throws: as `InputFolder.find`.
  package func whole(_ name: ExactText) throws(Fault) -> InputFile? {
    try InputFolder(path: path).find(name)
  }

  /// What an earlier run has left of a file; nil for nothing.
  ///
  /// - Parameter tag: what tells its contents from others.
  package func beginning(_ name: ExactText, tag: String) throws(Fault) -> InputFile? {
    try InputFolder(path: hidden).find(part(name, tag))
  }

  /// Opens a file to be written, behind what there is of it.
  ///
  /// - Parameter count: bytes that are there, which stay.
  package func open(
    _ name: ExactText, tag: String, after count: Int
  ) throws(Fault) -> OutputFile {
    let place = Folder.join(hidden, part(name, tag))
    let shown = Folder.join(path, name)
    if count > 0 { return try OutputFile(continuing: place, after: count, shownAs: shown) }
    guard unlink(place) == 0 || errno == ENOENT else { throw creatingFault(errno, path: place) }
    return try OutputFile(creating: place, shownAs: shown)
  }

  /// Gives a file its name, once it is flushed.
  ///
  /// - Parameter replaces: whether a file of that name may go.
  /// - Throws: `.cannotCreate` where there is one.
  package func commit(_ name: ExactText, tag: String, replaces: Bool) throws(Fault) {
    let (from, to) = (Folder.join(hidden, part(name, tag)), Folder.join(path, name))
    var code = replaces ? (rename(from, to) == 0 ? 0 : errno) : fathom_rename_new(from, to)
    if code == EINVAL || code == ENOSYS {
      // Not every file system can promise it; nobody else fills the folder.
      code = FileMark(at: to) != nil ? EEXIST : rename(from, to) == 0 ? 0 : errno
    }
    guard code == 0 else { throw creatingFault(code, path: to) }
    try flushFolder(path, for: to)
  }

  /// Removes what there is of a file, which is not what it should be.
  package func discard(_ name: ExactText, tag: String) {
    unlink(Folder.join(hidden, part(name, tag)))
  }

  /// Removes the hidden folder with what earlier runs have left in it: everything is there.
  package func finish() { _ = Folder.removeTree(hidden) }

  private func part(_ name: ExactText, _ tag: String) -> ExactText {
    "\(CRC32C(name.text + "\n" + tag).text)-\(ExactText(String(tag.prefix(16))))"
  }
}
