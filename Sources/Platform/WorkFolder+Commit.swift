internal import Glibc

extension WorkFolder {
  /// Gives the output its name and removes this folder; all files have been finished.
  ///
  /// A folder, or a single file, takes its name in one step, and what it replaces stays untouched
  /// until then. Several files cannot: what they replace steps aside first, and the first file
  /// comes last, since without it no reader takes the others for a model.
  ///
  /// - Parameter mark: the line that the journal gets before a way of more than one step.
  /// - Returns: what could not be removed: this folder, or something that was put among what was
  ///   replaced, and where it is now.
  /// - Throws: `.cannotCreate` where the name has been taken meanwhile or the system refuses,
  ///   `.inputOutput` where the disk fails. Everything is then as it was before, but for the mark.
  package func commit(mark: String) throws(Fault) -> String? {
    try flush(outputs)
    let replaced: [(standing: Standing, place: String)]
    switch form {
    case .folder: replaced = try commitFolder(mark)
    case .files(let names, _): replaced = try commitFiles(names, mark)
    }
    try flush(Folder.parent(of: destination.path))
    var left: String?
    for (standing, place) in replaced where !standing.remove(at: place) {
      left = keep(place)
      // This folder is removed with all that is in it.
      if left == nil { return place }
    }
    return remove() ? left : path
  }

  /// Moves what somebody has put into a folder while it was replaced out of this one; returns where
  /// it is then, nil where it cannot be moved.
  private func keep(_ place: String) -> String? {
    let name = Folder.name(of: place)
    for number in 1...100 {
      let beside = "\(destination.path).replaced-\(number)" + (name == "output" ? "" : "-" + name)
      let code = renameNew(place, beside.text)
      if code == 0 { return beside.text }
      if code != EEXIST { break }
    }
    return nil
  }

  private func commitFolder(
    _ mark: String
  ) throws(Fault) -> [(standing: Standing, place: String)] {
    let place = try destination.take(outputs, aside: aside) { () throws(Fault) in
      try journal.append([mark])
    }
    guard let place, let standing = destination.standing else { return [] }
    return [(standing, place)]
  }

  private func commitFiles(
    _ names: [ExactText], _ mark: String
  ) throws(Fault) -> [(standing: Standing, place: String)] {
    // After a crash on this way, some have their names already.
    let waiting = names.filter { FileMark(at: place(of: $0)) != nil }
    let places = try places(of: waiting)
    var replaced: [(standing: Standing, place: String)] = []
    guard names.count > 1 else {
      for (name, path) in places {
        let old = try path.take(place(of: name), aside: Folder.join(self.path, "replaced-file")) {
          () throws(Fault) in try journal.append([mark])
        }
        if let old, let standing = path.standing { replaced.append((standing, old)) }
      }
      return replaced
    }
    try destination.requireSameFolder()
    try journal.append([mark])
    var steps: [(from: String, to: String)] = []
    do throws(Fault) {
      for (name, path) in places {
        guard let standing = path.standing else { continue }
        guard mkdir(aside, 0o777) == 0 || errno == EEXIST else {
          throw creatingFault(errno, path: aside)
        }
        let place = Folder.join(aside, name)
        try step(path.path, place, &steps, for: path.path)
        guard standing.isSame(at: place) else { throw path.changed }
        replaced.append((standing, place))
      }
      for (name, path) in places.reversed() {
        try step(place(of: name), path.path, &steps, for: path.path)
      }
    } catch {
      for (from, to) in steps.reversed() { _ = renameNew(to, from) }
      throw error
    }
    return replaced
  }

  private func step(
    _ from: String, _ to: String, _ steps: inout [(from: String, to: String)], for path: String
  ) throws(Fault) {
    try OutputPath.requirePlaced(renameNew(from, to), path)
    steps.append((from, to))
  }
}

/// Makes the names in a folder durable, for a file that messages name.
func flushFolder(_ folder: String, for file: String) throws(Fault) {
  let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  defer { close(descriptor) }
  // Some network file systems cannot flush a folder and say so.
  guard descriptor >= 0, fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
    throw Fault(.inputOutput, "cannot be flushed to disk", file: file, found: reason(errno))
  }
}
