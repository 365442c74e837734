package import Platform

extension UnfinishedWork {
  /// Removes what a run has left that was killed after its output had got its name, and whose source
  /// is gone: nobody can run it again. All else stays, and so does what another run has in hand.
  ///
  /// - Throws: `.inputOutput` where the system does not tell what is there.
  package static func removeLeftover(of destination: OutputPath) throws(Fault) {
    guard try Folder.kind(of: destination.workPath) == .folder,
      let work = try? WorkFolder(for: destination, form: .folder),
      try isLeftover(work, of: destination)
    else { return }
    work.remove()
  }

  private static func isLeftover(
    _ work: WorkFolder, of destination: OutputPath
  ) throws(Fault) -> Bool {
    if work.isExpendable { return true }
    guard !work.holdsFiles else { return false }
    // One without a journal was being removed: there is nothing beside it then.
    guard !work.journal.lines.isEmpty else { return (try? work.requireNothingToLose()) != nil }
    let records = try ConversionRecords(work.journal.text, file: work.path)
    guard records.origin != nil, !records.deleted.isEmpty else { return false }
    // All bytes were safe, and where they grew nothing is: they have their names.
    let isFolder = try Folder.kind(of: destination.path) == .folder
    let folder = isFolder ? destination.path : Folder.parent(of: destination.path)
    for file in output(records) {
      guard file.safeBytes == file.byteCount,
        try Folder.stamp(of: Folder.join(folder, file.name))?.size == file.byteCount
      else { return false }
    }
    return true
  }
}
