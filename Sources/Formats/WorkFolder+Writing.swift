package import Platform

extension WorkFolder {
  /// Writes an output in a hidden folder and gives it its name; nothing is left of what fails.
  ///
  /// - Throws: what `body` throws; `.cannotCreate` where the place is taken, or holds the unfinished
  ///   work of a conversion.
  package static func writing<Result>(
    to destination: OutputPath, form: Form, _ body: (WorkFolder) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    let work = try WorkFolder(for: destination, form: form)
    guard work.journal.lines.isEmpty || work.isExpendable else {
      var fault = Fault(
        .cannotCreate, "has unfinished work of a conversion", file: destination.path,
        expected: "a name without, or that the conversion is ended with --resume", found: work.path)
      fault.advice = work.advice
      throw fault
    }
    // Outside of what removes the folder in the end: what may be nowhere else stays.
    try work.restart()
    do throws(Fault) {
      try work.begin(WorkFolder.expendable)
      try work.requireFree()
      let result = try body(work)
      try Interruption.check()
      _ = try work.commit(mark: "placing")
      return result
    } catch {
      work.remove()
      throw error
    }
  }

  /// Writes a small file.
  package func write(_ name: ExactText, _ bytes: [UInt8]) throws(Fault) {
    let file = try create(name)
    try file.append(bytes)
    try file.finish()
  }
}
