internal import Glibc

/// What a work folder may hold that is nowhere else, and how it is emptied where it does not.
extension WorkFolder {
  /// The line after which nothing in the folder is needed any more.
  package static let expendable = #"{"expendable":true}"#
  /// The folder of the beginnings of source files that may have been deleted.
  package static let beginningsName: ExactText = "beginnings"
  /// The folder in which what is being replaced steps aside.
  static let asideName: ExactText = "replaced"
  /// What the name of such a folder ends with.
  package static let suffix = ".fathom-part"

  /// Whether the journal says that nothing in the folder is needed.
  package var isExpendable: Bool { journal.lines.last == WorkFolder.expendable }

  /// Whether there are files of an output that have not got their names.
  package var holdsFiles: Bool {
    guard (try? Folder.kind(of: outputs)) == .folder else { return false }
    return (try? Folder.names(in: outputs))?.isEmpty != true
  }

  /// Where to look at what is there.
  package var look: String { WorkFolder.look(path) }

  /// What to do about a folder that is not touched.
  package var advice: String { WorkFolder.advice(path) }

  private static func look(_ path: String) -> String {
    "fathom resume --status \(path) says what is there"
  }

  static func advice(_ path: String) -> String {
    look(path) + "; to give it up, move or remove that folder yourself"
  }

  /// Throws `.cannotCreate` where the folder may hold what is nowhere else. Such a folder is not
  /// emptied, whatever the command.
  package func requireNothingToLose() throws(Fault) {
    guard !isExpendable, let what = try WorkFolder.loss(in: path, journal.text) else { return }
    var fault = Fault(
      .cannotCreate, "is not emptied", file: path,
      expected: "work that can be given up", found: what)
    fault.advice = advice
    throw fault
  }

  /// What may be lost with a folder: beginnings of source files, a model that steps aside, or
  /// anything at all beside a journal that cannot be read; nil where that is nothing.
  ///
  /// - Throws: `.notFound` or `.inputOutput` where the folder cannot be listed.
  package static func loss(in folder: String, _ journal: JournalText) throws(Fault) -> String? {
    let names = try Folder.names(in: folder)
    guard names.contains(where: { !Journal.names.contains($0) }) else { return nil }
    if names.contains(beginningsName) {
      return "unfinished work for which source files may have been deleted"
    }
    if names.contains(asideName) { return "a model that was being replaced" }
    if let gap = journal.gaps.first {
      return "files and a journal that is damaged at byte \(gap.offset)"
    }
    if journal.hasHead { return nil }
    return journal.tornBytes == 0
      ? "files and an empty journal" : "files and a journal that is damaged from its start on"
  }

  /// Removes everything in the folder and goes on as if it were new.
  ///
  /// - Throws: `.cannotCreate` where something in it may be nowhere else, or cannot be removed.
  package func restart() throws(Fault) {
    try requireNothingToLose()
    precondition(!isPart, "others have their work here")
    guard removeContents() else {
      throw Fault(.cannotCreate, "cannot be emptied", file: path)
    }
    try journal.restart()
    hasNewNames = true
  }

  /// Writes the first line of the journal, durably, before there is anything else in the folder: one
  /// whose journal is empty has never held any work.
  ///
  /// - Throws: `.cannotCreate` or `.inputOutput` where it cannot be written.
  package func begin(_ line: String) throws(Fault) {
    try journal.append([line])
    try flush(Folder.parent(of: journal.path))
  }

  /// Removes the folder and everything in it, which is for whoever knows that nobody needs it: the
  /// run whose output is complete, or that has made the folder itself and failed.
  ///
  /// - Returns: whether all is gone.
  @discardableResult
  package func remove() -> Bool {
    precondition(!isPart, "others have their work here")
    // A crash on the way must not leave what looks like the only copy of something.
    if (try? requireNothingToLose()) == nil { try? journal.append([WorkFolder.expendable]) }
    // The journal comes last: as long as it is there, nobody else takes the folder for theirs.
    guard removeContents(), unlinkJournal() else { return false }
    // On network file systems a file that is open leaves another name behind.
    journal.close()
    return rmdir(path) == 0
  }

  private func unlinkJournal() -> Bool {
    for name in Journal.names.reversed() {
      guard unlink(Folder.join(path, name)) == 0 || errno == ENOENT else { return false }
    }
    return true
  }

  /// Removes everything but the journal; returns whether all of it is gone.
  private func removeContents() -> Bool {
    guard let names = try? Folder.names(in: path) else { return false }
    var isGone = true
    for name in names where !Journal.names.contains(name) {
      isGone = Folder.removeTree(Folder.join(path, name)) && isGone
    }
    return isGone
  }

  /// Where the beginnings of source files that are deleted are kept, of an output that is or will be
  /// at a place.
  package static func beginnings(of destination: OutputPath) -> String {
    Folder.join(destination.workPath, beginningsName)
  }

  /// Keeps the beginnings of files that may be deleted later, durably; those that are there stay.
  ///
  /// - Parameter beginnings: names, and what is kept under them.
  /// - Throws: `.cannotCreate` or `.inputOutput` where they cannot be written.
  package func keep(
    beginnings: [(name: ExactText, bytes: () throws(Fault) -> [UInt8])]
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
}
