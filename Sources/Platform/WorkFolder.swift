internal import Glibc

/// A hidden folder beside the final name of an output, in which its files grow until they are
/// complete, with a journal that outlives a crash.
///
/// Its name follows from the output's, so that a later run finds what an earlier one left; one
/// process at a time may have it.
package final class WorkFolder {
  /// What an output is.
  package enum Form: Sendable {
    /// A folder of files.
    case folder
    /// Files of these names beside each other, without a folder of their own. The companion, one of
    /// them, speaks of the others: one that is left where none of the files is any more, neither of
    /// these nor of those that it speaks of, is replaced.
    case files([ExactText], companion: Companion? = nil)

    /// Whether it is a folder.
    package var isFolder: Bool {
      if case .folder = self { true } else { false }
    }
  }

  /// Where the output will be.
  package let destination: OutputPath
  /// What it will be.
  package let form: Form
  /// The hidden folder.
  package let path: String
  /// What is known of the work.
  package let journal: Journal
  /// The name of the folder of the files.
  package static let outputsName: ExactText = "output"
  /// The folder of the files.
  let outputs: String
  /// Where what is being replaced steps aside.
  let aside: String
  /// What stood under the names of files without a folder when the run began.
  var seen: [ExactText: FileMark?] = [:]
  /// Whether names in the folder of the files are not yet durable.
  var hasNewNames = true
  /// Whether that folder, this one and its name are durable.
  private var isDurable = false
  /// The folder's own journal, of which several runs have a share while each writes its part of the
  /// output; nil where one run writes everything, and that journal is its own.
  private let common: Journal?
  /// Whether it is one of several runs that write here.
  var isPart: Bool { common != nil }

  /// Creates the folder, or finds the one that an earlier run left.
  ///
  /// - Parameter isShared: whether others may have it too: nothing is written then but by parts.
  /// - Throws: `.cannotCreate` where another process is at work in it, where it is not this user's,
  ///   or with the system's reason; `.inputOutput` where the disk fails.
  package convenience init(
    for destination: OutputPath, form: Form, isShared: Bool = false
  ) throws(Fault) {
    try Descriptors.requireRoom(for: destination.path)
    let journal = try WorkFolder.claim(destination.workPath, for: destination, isShared)
    self.init(destination, form, journal, common: nil)
  }

  private init(
    _ destination: OutputPath, _ form: Form, _ journal: Journal, common: Journal?
  ) {
    self.destination = destination
    self.form = form
    self.journal = journal
    self.common = common
    path = destination.workPath
    outputs = Folder.join(path, WorkFolder.outputsName)
    aside = Folder.join(path, WorkFolder.asideName)
  }

  /// The same folder for the run that writes a part of the output, whose journal lies in a folder of
  /// its own below it.
  ///
  /// - Parameter name: that folder's.
  /// - Throws: `.cannotCreate` where another process writes that part, or with the system's reason;
  ///   `.inputOutput` where the disk fails.
  package func part(named name: ExactText) throws(Fault) -> WorkFolder {
    let folder = Folder.join(path, name)
    guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
      throw creatingFault(errno, path: folder)
    }
    try flush(path)
    guard let own = try Journal(in: folder, for: folder) else {
      throw Fault(.cannotCreate, "comes and goes", file: folder)
    }
    return WorkFolder(destination, form, own, common: journal)
  }

  private static func claim(
    _ path: String, for destination: OutputPath, _ isShared: Bool
  ) throws(Fault) -> Journal {
    // A run that ends takes the folder away under the feet of one that begins.
    for _ in 0..<100 {
      let code = mkdir(path, 0o777) == 0 ? 0 : errno
      guard code == 0 || code == EEXIST else { throw creatingFault(code, path: destination.path) }
      if code == EEXIST { try requireOwn(path) }
      do throws(Fault) {
        let journal = try Journal(in: path, for: destination.path, isShared: isShared)
        if let journal { return journal }
      } catch {
        if code == 0 { rmdir(path) }
        throw error
      }
    }
    throw Fault(.cannotCreate, "comes and goes", file: path)
  }

  /// Creates a file of the output; an unfinished one of that name is replaced.
  package func create(_ name: ExactText) throws(Fault) -> OutputFile {
    precondition(!name.utf8.contains(UInt8(ascii: "/")))
    if mkdir(outputs, 0o777) != 0, errno != EEXIST { throw creatingFault(errno, path: outputs) }
    unlink(place(of: name))
    hasNewNames = true
    return try OutputFile(creating: place(of: name), shownAs: finalPlace(of: name))
  }

  /// Opens a file that an earlier run left and goes on after its first `count` bytes.
  package func reopen(_ name: ExactText, after count: Int) throws(Fault) -> OutputFile {
    try OutputFile(continuing: place(of: name), after: count, shownAs: finalPlace(of: name))
  }

  /// Opens a file that has bytes behind `start` which stay unless they are written over, as others
  /// write them or have done so, and goes on there.
  package func share(_ name: ExactText, from start: Int) throws(Fault) -> OutputFile {
    if mkdir(outputs, 0o777) != 0, errno != EEXIST { throw creatingFault(errno, path: outputs) }
    hasNewNames = true
    return try OutputFile(sharing: place(of: name), from: start, shownAs: finalPlace(of: name))
  }

  /// Opens a file for reading; nil where it is not there.
  package func read(_ name: ExactText) throws(Fault) -> InputFile? {
    try Folder.kind(of: place(of: name)) == .file ? InputFile(path: place(of: name)) : nil
  }

  /// Makes the names of all files durable, without which their contents would be lost.
  ///
  /// - Throws: `.inputOutput` or `.cannotCreate` where the disk refuses.
  package func flushNames() throws(Fault) {
    if hasNewNames { try flush(outputs) }
    hasNewNames = false
    guard !isDurable else { return }
    try flush(path)
    try flush(Folder.parent(of: path))
    isDurable = true
  }

  /// Where a file of the output lies for now.
  func place(of name: ExactText) -> String { Folder.join(outputs, name) }

  /// Where it will lie.
  package func finalPlace(of name: ExactText) -> String {
    let folder = form.isFolder ? destination.path : Folder.parent(of: destination.path)
    return Folder.join(folder, name)
  }

  func flush(_ folder: String) throws(Fault) { try flushFolder(folder, for: folder) }
}
