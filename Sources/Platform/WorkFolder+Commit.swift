internal import CPlatform
internal import Glibc

extension WorkFolder {
  /// Gives the output its name and removes this folder; all files have been finished.
  ///
  /// A folder, or a single file, takes its name in one step, and what it replaces stays untouched
  /// until then. Several files cannot: what they replace steps aside first, and the first file
  /// comes last, since without it no reader takes the others for a model.
  ///
  /// - Parameter mark: the line that the journal gets before a way of more than one step.
  /// - Returns: this folder, where it could not be removed.
  /// - Throws: `.cannotCreate` where the name has been taken meanwhile or the system refuses,
  ///   `.inputOutput` where the disk fails. Everything is then as it was before, but for the mark.
  public func commit(mark: String) throws(Fault) -> String? {
    try flush(outputs)
    switch form {
    case .folder: try commitFolder(mark)
    case .files(let names, _): try commitFiles(names, mark)
    }
    try flush(Folder.parent(of: destination.path))
    return remove() ? nil : path
  }

  private func commitFolder(_ mark: String) throws(Fault) {
    guard destination.replaced != nil else {
      return try check(renameNew(outputs, destination.path), destination.path)
    }
    let code = fathom_rename_exchange(outputs, destination.path)
    guard code == EINVAL || code == ENOSYS else { return try check(code, destination.path) }
    // Where the file system cannot exchange two names, the old folder steps aside first and comes
    // back if the new one cannot take its place.
    try journal.append([mark])
    try check(rename(destination.path, aside) == 0 ? 0 : errno, destination.path)
    let second = rename(outputs, destination.path) == 0 ? 0 : errno
    if second != 0 { rename(aside, destination.path) }
    try check(second, destination.path)
  }

  private func commitFiles(_ names: [ExactText], _ mark: String) throws(Fault) {
    // After a crash on this way, some have their names already.
    let waiting = names.filter { access(place(of: $0), F_OK) == 0 }
    let places = try places(of: waiting)
    guard names.count > 1 else {
      for (name, path) in places {
        let code =
          path.replaced == nil
          ? renameNew(place(of: name), path.path)
          : (rename(place(of: name), path.path) == 0 ? 0 : errno)
        try check(code, path.path)
      }
      return
    }
    try journal.append([mark])
    var steps: [(from: String, to: String)] = []
    do throws(Fault) {
      for (name, path) in places where path.replaced != nil {
        guard mkdir(aside, 0o777) == 0 || errno == EEXIST else {
          throw creatingFault(errno, path: aside)
        }
        try step(path.path, Folder.join(aside, name), &steps, for: path.path)
      }
      for (name, path) in places.reversed() {
        try step(place(of: name), path.path, &steps, for: path.path)
      }
    } catch {
      for (from, to) in steps.reversed() { rename(to, from) }
      throw error
    }
  }

  private func step(
    _ from: String, _ to: String, _ steps: inout [(from: String, to: String)], for path: String
  ) throws(Fault) {
    try check(renameNew(from, to), path)
    steps.append((from, to))
  }

  private func check(_ code: Int32, _ path: String) throws(Fault) {
    guard code != 0 else { return }
    guard code != EEXIST else {
      throw Fault(.cannotCreate, "has come into being meanwhile", file: path)
    }
    throw creatingFault(code, path: path, "cannot be put in place")
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
  return fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno
}
