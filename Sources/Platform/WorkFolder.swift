internal import Glibc

/// A hidden folder beside the final name of an output, in which its files grow until they are
/// complete, with a journal that outlives a crash.
///
/// Its name follows from the output's, so that a later run finds what an earlier one left; one
/// process at a time may have it.
public final class WorkFolder {
  /// What an output is.
  public enum Form: Sendable {
    /// A folder of files.
    case folder
    /// Files of these names beside each other, without a folder of their own. The companion, one of
    /// them, speaks of the others: one that is left where none of the files is any more, neither of
    /// these nor of those that it speaks of, is replaced.
    case files([String], companion: Companion? = nil)

    /// Whether it is a folder.
    public var isFolder: Bool {
      if case .folder = self { true } else { false }
    }
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
  /// What stood under the names of files without a folder when the run began.
  var seen: [ExactText: FileMark?] = [:]
  /// Whether names in the folder of the files are not yet durable.
  private var hasNewNames = true
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
    aside = Folder.join(path, "replaced")
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
        let journal = try Journal(
          claiming: Folder.join(path, "journal"), for: destination.path)
        if let journal { return journal }
      } catch {
        if code == 0 { rmdir(path) }
        throw error
      }
    }
    throw Fault(.cannotCreate, "comes and goes", file: path)
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

  /// Where the beginnings of source files that are deleted are kept, of an output that is or will be
  /// at a place.
  public static func beginnings(of destination: OutputPath) -> String {
    Folder.join(destination.workPath, "beginnings")
  }

  /// Keeps the beginnings of files that may be deleted later, durably; those that are there stay.
  ///
  /// - Parameter beginnings: names, and what is kept under them.
  /// - Throws: `.cannotCreate` or `.inputOutput` where they cannot be written.
  public func keep(
    beginnings: [(name: String, bytes: () throws(Fault) -> [UInt8])]
  ) throws(Fault) {
    let folder = WorkFolder.beginnings(of: destination)
    guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
      throw creatingFault(errno, path: folder)
    }
    let present = Set(try Folder.names(in: folder))
    for (name, bytes) in beginnings where !present.contains(name) {
      let temporary = Folder.join(folder, ".new")
      unlink(temporary)
      let file = try OutputFile(creating: temporary)
      try file.append(bytes())
      try file.finish()
      guard rename(temporary, Folder.join(folder, name)) == 0 else {
        throw creatingFault(errno, path: Folder.join(folder, name))
      }
    }
    try flush(folder)
    try flush(path)
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

  /// Removes everything in the folder and goes on as if it were new.
  ///
  /// - Throws: `.cannotCreate` where something cannot be removed.
  public func restart() throws(Fault) {
    guard removeContents() else {
      throw Fault(.cannotCreate, "cannot be emptied", file: path)
    }
    try journal.restart()
    hasNewNames = true
  }

  /// Removes the folder and everything in it.
  ///
  /// - Returns: whether all is gone.
  @discardableResult
  public func remove() -> Bool {
    // The journal comes last: as long as it is there, nobody else takes the folder for theirs.
    guard removeContents(), unlink(journal.path) == 0 else { return false }
    // On network file systems a file that is open leaves another name behind.
    journal.close()
    return rmdir(path) == 0
  }

  /// Removes everything but the journal; returns whether all of it is gone.
  private func removeContents() -> Bool {
    var isGone = true
    for name in (try? Folder.names(in: path)) ?? [] where name != "journal" {
      isGone = Folder.removeTree(Folder.join(path, name)) && isGone
    }
    return isGone
  }

  /// Where a file of the output lies for now.
  func place(of name: String) -> String { Folder.join(outputs, name) }

  /// Where it will lie.
  public func finalPlace(of name: String) -> String {
    let folder = form.isFolder ? destination.path : Folder.parent(of: destination.path)
    return Folder.join(folder, name)
  }

  func flush(_ folder: String) throws(Fault) {
    let code = flushFolder(folder)
    guard code == 0 else {
      throw Fault(.inputOutput, "cannot be flushed to disk", file: folder, found: reason(code))
    }
  }
}
