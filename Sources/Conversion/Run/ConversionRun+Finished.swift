internal import Platform

/// An output that stands under its name already.
extension ConversionRun {
  /// Whether it does; how many of its bytes were compared then.
  ///
  /// - Throws: `.cannotCreate` where something else does that may not be replaced.
  func comparedBytes() throws(Fault) -> Int? {
    var output = FinishedOutput(plan: plan, source: source, destination: destination)
    guard try output.isThere() else { return nil }
    guard let difference = try output.difference() else { return output.comparedBytes }
    guard destination.mayReplace else {
      throw Fault(
        .cannotCreate, "exists already and is not what this conversion gives",
        file: destination.path, expected: "a new name, or --overwrite", found: difference)
    }
    return nil
  }

  /// What is said of it; a crash after the last step may have left the folder of the work.
  func finished(compared: Int) throws(Fault) -> ConversionResult {
    let output = FinishedOutput(plan: plan, source: source, destination: destination)
    var leftover: String?
    if (try? Folder.kind(of: destination.workPath)) == .folder, !removeLeftover() {
      leftover = destination.workPath
    }
    return ConversionResult(
      output: destination.path, bytesRead: 0, bytesWritten: 0, bytesKept: plan.byteCount,
      isResumed: true, bytesCompared: compared, deletedSourceFiles: 0, seconds: seconds,
      manifestHash: try output.manifestHash(),
      warnings: plan.warnings + [leftover.map(ConversionRun.left)].compactMap { $0 })
  }

  /// Removes the folder of the work unless it may hold what is nowhere else; returns whether it is
  /// gone.
  private func removeLeftover() -> Bool {
    guard let work = try? WorkFolder(for: destination, form: plan.form),
      (try? ConversionRecords(work.journal.text, file: work.journal.path)) != nil
    else { return false }
    // Once the files have gone to their names, the rest is of no use.
    guard (try? work.requireNothingToLose()) != nil || work.journal.text.hasHead && !work.holdsFiles
    else { return false }
    return work.remove()
  }

  /// What is said of what a commit could not remove: the folder of the work, or what was replaced
  /// and has something of somebody's in it.
  static func left(_ path: String) -> String {
    guard Folder.name(of: path).hasSuffix(ExactText(WorkFolder.suffix)) else {
      return "what was replaced was not removed, since something has changed in it meanwhile: "
        + path
    }
    return "the folder of unfinished work was not removed: \(path); "
      + "fathom resume --status \(path) says what is there"
  }
}
