internal import Glibc

extension WorkFolder {
  /// Throws `.cannotCreate` where something else has a hidden folder's name, or where somebody else
  /// could have put it there.
  static func requireOwn(_ path: String) throws(Fault) {
    var (status, parent) = (stat(), stat())
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw Fault(.cannotCreate, "is in the way", file: path, expected: "a folder of fathom")
    }
    // A folder that nobody else can write to holds what its owner wants there.
    guard stat(Folder.parent(of: path), &parent) == 0,
      parent.st_mode & (S_IWOTH | S_IWGRP) != 0, status.st_uid != geteuid()
    else { return }
    throw Fault(
      .cannotCreate, "belongs to another user", file: path,
      expected: "a folder of user \(geteuid())",
      found: "one of user \(status.st_uid)")
  }

  /// Throws `.cannotCreate` for a journal that is somebody else's file: one of another owner than
  /// the folder, or with a second name elsewhere.
  static func requireOwn(journal path: String, _ status: stat) throws(Fault) {
    guard status.st_nlink <= 1 else {
      throw Fault(
        .cannotCreate, "has other names and is not written to", file: path, expected: "one name",
        found: "\(status.st_nlink)")
    }
    var folder = stat()
    guard stat(Folder.parent(of: path), &folder) == 0, status.st_uid != geteuid(),
      status.st_uid != folder.st_uid
    else { return }
    throw Fault(.cannotCreate, "belongs to another user", file: path)
  }

  /// Whether a name is that of a companion whose files are gone.
  private func isLeftAlone(_ name: ExactText) throws(Fault) -> Bool {
    guard case .files(let names, let companion?) = form, isCompanion(name),
      let standing = try Standing.look(at: finalPlace(of: name), lists: false),
      standing.kind == .file, let files = try companion.files(standing)
    else { return false }
    return (names + files).allSatisfy {
      $0 == name || FileMark(at: finalPlace(of: $0)) == nil
    }
  }

  private func isCompanion(_ name: ExactText) -> Bool {
    guard case .files(_, let companion?) = form else { return false }
    return companion.name == name
  }

  /// The places of files without a folder of their own.
  ///
  /// - Throws: `.cannotCreate` where one is taken that may not be replaced, or by something else
  ///   than `requireFree` saw.
  func places(of names: [ExactText]) throws(Fault) -> [(name: ExactText, path: OutputPath)] {
    guard case .files(_, let companion) = form else { return [] }
    var places: [(name: ExactText, path: OutputPath)] = []
    for name in names {
      let own = isCompanion(name) ? companion?.replaceable : nil
      let isLeft = try isLeftAlone(name)
      let path = try OutputPath(
        finalPlace(of: name), overwrite: destination.mayReplace || isLeft,
        replacing: own ?? destination.replaceable, sparing: destination.inputs)
      guard path.replaced != .folder else {
        throw Fault(.cannotCreate, "is a folder", file: path.path, expected: "a file to replace")
      }
      if let now = path.standing?.mark, let before = seen[name], before != now {
        if before == nil { try OutputPath.requirePlaced(EEXIST, path.path) }
        throw path.changed
      }
      places.append((name, path))
    }
    return places
  }

  /// Throws `.cannotCreate` where something has the output's name that may not be replaced or is
  /// of another kind.
  package func requireFree() throws(Fault) {
    guard case .files(let names, _) = form else {
      if destination.replaced != nil, !destination.mayReplace { throw destination.taken }
      guard destination.replaced != .file else {
        throw Fault(
          .cannotCreate, "is a file", file: destination.path, expected: "a folder to replace")
      }
      return
    }
    seen = [:]
    for (name, path) in try places(of: names) { seen[name] = .some(path.standing?.mark) }
  }
}
