internal import CPlatform
internal import Glibc

extension OutputPath {
  /// Gives a finished file or folder this name. Something that stands there is exchanged with it,
  /// so that the name is never without one of the two, and looked at once more as it comes out.
  ///
  /// - Parameters:
  ///   - from: where the output grew; what was replaced lies there afterwards.
  ///   - aside: a free name for what is replaced, for file systems that cannot exchange two names;
  ///     it lies there then.
  ///   - prepare: called before a way of more than one step.
  /// - Returns: where what was replaced lies now; nil where nothing was.
  /// - Throws: `.cannotCreate` where the place is not as it was looked at, or the system refuses.
  ///   Everything is then as it was before.
  func take(
    _ from: String, aside: String, prepare: () throws(Fault) -> Void = {}
  ) throws(Fault) -> String? {
    try requireSameFolder()
    guard let standing else {
      try requirePlaced(renameNew(from, path))
      return nil
    }
    // What has gone meanwhile needs no replacing.
    if FileMark(at: path) == nil {
      try requirePlaced(renameNew(from, path))
      return nil
    }
    guard standing.isSame(at: path) else { throw changed }
    let code = fathom_rename_exchange(from, path)
    guard code == EINVAL || code == ENOSYS else {
      try requirePlaced(code)
      guard standing.isSame(at: from) else {
        try requirePlaced(fathom_rename_exchange(from, path))
        throw changed
      }
      return from
    }
    // The old one steps aside first, and comes back if the new one cannot take its place.
    try prepare()
    try requirePlaced(renameNew(path, aside))
    guard standing.isSame(at: aside) else {
      try requirePlaced(renameNew(aside, path))
      throw changed
    }
    let second = renameNew(from, path)
    if second != 0 { _ = renameNew(aside, path) }
    try requirePlaced(second)
    return aside
  }

  /// What is said where something else has the name than when the run began.
  var changed: Fault {
    Fault(
      .cannotCreate, "is not what stood there when the run began, and is not replaced", file: path,
      expected: "that it stays as it is during the run")
  }

  private func requirePlaced(_ code: Int32) throws(Fault) {
    try OutputPath.requirePlaced(code, path)
  }

  /// Throws what an error number of a rename says.
  static func requirePlaced(_ code: Int32, _ path: String) throws(Fault) {
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
  if FileMark(at: to) != nil { return EEXIST }
  return rename(from, to) == 0 ? 0 : errno
}
