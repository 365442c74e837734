internal import Glibc

/// A hidden folder beside the final name of an output, in which its files grow until they are
/// complete, with a journal that outlives a crash.
///
/// Its name follows from the output's, so that a later run finds what an earlier one left; one
/// process at a time may have it.
public final class WorkFolder {
  /// What an output is.
  public enum Form: Sendable, Hashable {
    /// A folder of files.
    case folder
    /// Files of these names beside each other, without a folder of their own. The companion, one of
    /// them, speaks of the others: one that is left where none of these is any more is replaced.
    case files([String], companion: String? = nil)
  }

  /// Where the output will be.
  public let destination: OutputPath
  /// What it will be.
  public let form: Form
  /// The hidden folder.
  public let path: String
  /// What is known of the work.
  public let journal: Journal
  /// The folder of the files.
  let outputs: String
  /// Where what is being replaced steps aside.
  let aside: String
  /// Whether names in the folder of the files are not yet durable.
  var hasNewNames = true
  /// Whether that folder, this one and its name are durable.
  private var isDurable = false

  /// Creates the folder, or finds the one that an earlier run left.
  ///
  /// - Throws: `.cannotCreate` where another process is at work in it, where it is not this user's,
  ///   or with the system's reason; `.inputOutput` where the disk fails.
  public init(for destination: OutputPath, form: Form) throws(Fault) {
    self.destination = destination
    self.form = form
    path = destination.workPath
    outputs = Folder.join(path, "output")
    aside = Folder.join(path, WorkFolder.asideName)
    journal = try WorkFolder.claim(path, for: destination)
  }

  private static func claim(
    _ path: String, for destination: OutputPath
  ) throws(Fault) -> Journal {
    // A run that ends takes the folder away under the feet of one that begins.
    for _ in 0..<100 {
      let code = mkdir(path, 0o777) == 0 ? 0 : errno
      guard code == 0 || code == EEXIST else {
        throw creatingFault(code, path: destination.path)
      }
      if code == EEXIST { try requireOwn(path) }
      do throws(Fault) {
        if let journal = try Journal(in: path, for: destination.path) { return journal }
      } catch {
        if code == 0 { rmdir(path) }
        throw error
      }
    }
    throw Fault(.cannotCreate, "comes and goes", file: path)
  }

  /// Throws where something else has the name, or where anybody could have put it there.
  private static func requireOwn(_ path: String) throws(Fault) {
    var (status, parent) = (stat(), stat())
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw Fault(.cannotCreate, "is in the way", file: path, expected: "a folder of fathom")
    }
    guard stat(Folder.parent(of: path), &parent) == 0, parent.st_mode & S_IWOTH != 0,
      status.st_uid != geteuid()
    else { return }
    throw Fault(.cannotCreate, "belongs to another user", file: path)
  }

  /// Creates a file of the output; an unfinished one of that name is replaced.
  public func create(_ name: String) throws(Fault) -> OutputFile {
    precondition(!name.utf8.contains(UInt8(ascii: "/")))
    if mkdir(outputs, 0o777) != 0, errno != EEXIST {
      throw creatingFault(errno, path: outputs)
    }
    unlink(place(of: name))
    hasNewNames = true
    return try OutputFile(creating: place(of: name), shownAs: finalPlace(of: name))
  }

  /// Opens a file that an earlier run left and goes on after its first `count` bytes.
  public func reopen(_ name: String, after count: Int) throws(Fault) -> OutputFile {
    try OutputFile(continuing: place(of: name), after: count, shownAs: finalPlace(of: name))
  }

  /// Opens a file for reading; nil where it is not there.
  public func read(_ name: String) throws(Fault) -> InputFile? {
    try Folder.kind(of: place(of: name)) == .file ? InputFile(path: place(of: name)) : nil
  }

  /// Makes the names of all files durable, without which their contents would be lost.
  ///
  /// - Throws: `.inputOutput` or `.cannotCreate` where the disk refuses.
  public func flushNames() throws(Fault) {
    if hasNewNames { try flush(outputs) }
    hasNewNames = false
    guard !isDurable else { return }
    try flush(path)
    try flush(Folder.parent(of: path))
    isDurable = true
  }

  /// Where a file of the output lies for now.
  func place(of name: String) -> String { Folder.join(outputs, name) }

  /// Where it will lie.
  public func finalPlace(of name: String) -> String {
    let folder = form == .folder ? destination.path : Folder.parent(of: destination.path)
    return Folder.join(folder, name)
  }

  /// Whether a name is that of a companion whose files are gone.
  private func isLeftAlone(_ name: String) -> Bool {
    guard case .files(let names, name?) = form else { return false }
    return names.allSatisfy { $0 == name || access(finalPlace(of: $0), F_OK) != 0 }
  }

  /// The places of files without a folder of their own.
  ///
  /// - Throws: `.cannotCreate` where one is taken that may not be replaced.
  func places(of names: [String]) throws(Fault) -> [(name: String, path: OutputPath)] {
    var places: [(name: String, path: OutputPath)] = []
    for name in names {
      let path = try OutputPath(
        finalPlace(of: name), overwrite: destination.mayReplace || isLeftAlone(name))
      guard path.replaced != .folder else {
        throw Fault(.cannotCreate, "is a folder", file: path.path, expected: "a file to replace")
      }
      places.append((name, path))
    }
    return places
  }

  /// Throws `.cannotCreate` where something has the output's name that may not be replaced or is
  /// of another kind.
  public func requireFree() throws(Fault) {
    guard case .files(let names, _) = form else {
      if destination.replaced != nil, !destination.mayReplace { throw destination.taken }
      guard destination.replaced != .file else {
        throw Fault(
          .cannotCreate, "is a file", file: destination.path, expected: "a folder to replace")
      }
      return
    }
    _ = try places(of: names)
  }

  func flush(_ folder: String) throws(Fault) {
    let code = flushFolder(folder)
    guard code == 0 else {
      throw Fault(.inputOutput, "cannot be flushed to disk", file: folder, found: reason(code))
    }
  }
}

extension Folder {
  /// Removes a folder with everything in it, never following a link; returns whether all is gone.
  static func removeTree(_ path: String) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else { return errno == ENOENT }
    guard status.st_mode & S_IFMT == S_IFDIR else { return unlink(path) == 0 }
    guard let names = try? names(in: path) else { return false }
    var isGone = true
    for name in names { isGone = removeTree(join(path, name)) && isGone }
    return isGone && rmdir(path) == 0
  }
}
