internal import CPlatform
internal import Glibc

/// A folder of files that appears under its name complete or not at all.
///
/// Work goes on in a hidden folder beside the final name; `commit` flushes it and renames it as a
/// whole. A folder that is replaced stays untouched until that moment and is removed after it.
public final class OutputFolder {
  /// Where the folder will be.
  public let destination: OutputPath
  private let work: String
  private var names: [String] = []
  private var isOpen = true

  /// Creates the hidden folder.
  ///
  /// - Throws: `.cannotCreate` with the system's reason.
  public init(at destination: OutputPath) throws(Fault) {
    self.destination = destination
    guard destination.replaced != .file else {
      throw Fault(
        .cannotCreate, "is a file", file: destination.path, expected: "a folder to replace")
    }
    work = destination.temporaryName()
    guard mkdir(work, 0o777) == 0 else {
      throw Fault(
        .cannotCreate, "cannot be created", file: destination.path, found: reason(errno))
    }
  }

  deinit { discard() }

  /// Creates a file in the folder.
  public func create(_ name: String) throws(Fault) -> OutputFile {
    precondition(isOpen && !name.utf8.contains(UInt8(ascii: "/")))
    let file = try OutputFile(
      creating: Folder.join(work, name), shownAs: Folder.join(destination.path, name))
    names.append(name)
    return file
  }

  /// Gives the folder its name; all files in it have been finished.
  ///
  /// - Returns: the folder that was replaced, where it could not be removed afterwards.
  /// - Throws: `.cannotCreate` where the name has been taken meanwhile or the system refuses; the
  ///   hidden folder is gone then, and what stood there before is untouched.
  public func commit() throws(Fault) -> String? {
    precondition(isOpen)
    try flush(work)
    if destination.replaced == nil {
      try check(renameNew(work, destination.path))
      isOpen = false
    } else {
      let code = fathom_rename_exchange(work, destination.path)
      if code == EINVAL || code == ENOSYS {
        try replaceInTwoSteps()
      } else {
        try check(code)
      }
      isOpen = false
    }
    try flush(Folder.parent(of: destination.path))
    guard destination.replaced != nil, !removeTree(work) else { return nil }
    return work
  }

  /// Removes the hidden folder and everything in it; does nothing after `commit`.
  public func discard() {
    guard isOpen else { return }
    isOpen = false
    for name in names { unlink(Folder.join(work, name)) }
    rmdir(work)
  }

  /// Where the file system cannot exchange two names, the old folder steps aside first and comes
  /// back if the new one cannot take its place.
  private func replaceInTwoSteps() throws(Fault) {
    let aside = destination.temporaryName()
    try check(rename(destination.path, aside) == 0 ? 0 : errno)
    guard rename(work, destination.path) == 0 else {
      let code = errno
      rename(aside, destination.path)
      return try check(code)
    }
    // From here on the hidden name stands for the old folder, as after an exchange.
    try check(rename(aside, work) == 0 ? 0 : errno)
  }

  private func check(_ code: Int32) throws(Fault) {
    guard code != 0 else { return }
    discard()
    throw Fault(
      .cannotCreate, code == EEXIST ? "has come into being meanwhile" : "cannot be put in place",
      file: destination.path, found: code == EEXIST ? nil : reason(code))
  }

  private func flush(_ folder: String) throws(Fault) {
    let code = flushFolder(folder)
    guard code == 0 else {
      throw Fault(.inputOutput, "cannot be flushed to disk", file: folder, found: reason(code))
    }
  }
}

/// Renames without replacing anything; where the system cannot promise that, looks first.
func renameNew(_ from: String, _ to: String) -> Int32 {
  let code = fathom_rename_new(from, to)
  guard code == EINVAL || code == ENOSYS else { return code }
  var status = stat()
  if lstat(to, &status) == 0 { return EEXIST }
  return rename(from, to) == 0 ? 0 : errno
}

/// Makes the names in a folder durable; returns 0 or an errno value.
func flushFolder(_ folder: String) -> Int32 {
  let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { return errno }
  defer { close(descriptor) }
  // Some network file systems cannot flush a folder and say so.
  return fsync(descriptor) == 0 || errno == EINVAL ? 0 : errno
}

/// Removes a folder with everything in it, never following a link; returns whether all is gone.
private func removeTree(_ path: String) -> Bool {
  var status = stat()
  guard lstat(path, &status) == 0 else { return errno == ENOENT }
  guard status.st_mode & S_IFMT == S_IFDIR else { return unlink(path) == 0 }
  guard let names = try? Folder.names(in: path) else { return false }
  var isGone = true
  for name in names { isGone = removeTree(Folder.join(path, name)) && isGone }
  return isGone && rmdir(path) == 0
}
