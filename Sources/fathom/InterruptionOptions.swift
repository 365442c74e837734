internal import ArgumentParser
internal import Conversion
internal import Dialects
internal import Platform
internal import Reports

/// What becomes of a conversion that does not come to its end in one run, and of the disk under it.
struct InterruptionOptions: ParsableArguments {
  @Flag(help: "Replace an output that exists, once the new one is complete.")
  var overwrite = false

  @Flag(
    help: """
      Go on with what an earlier run of the same command left when it was interrupted; where it left \
      nothing, begin, and where the output is complete, say so.
      """)
  var resume = false

  @Option(
    help: ArgumentHelp(
      "Flush and note progress after so many bytes: the most that a crash can cost.",
      valueName: "size"))
  var flushEvery = ByteSize(bytes: RunOptions.defaultInterval)

  @Flag(
    help: """
      Delete each shard of the source as soon as all its tensors are safely in the output, so that \
      both need not fit on the disk. Shards of which the output lacks a tensor stay.
      """)
  var freeSource = false

  @Flag(help: "Confirm --free-source, which deletes the source for good.")
  var yesDeleteSource = false

  func validate() throws {
    guard freeSource == yesDeleteSource else {
      throw ValidationError(
        freeSource
          ? "--free-source deletes the source for good: confirm it with --yes-delete-source"
          : "--yes-delete-source goes with --free-source")
    }
    guard flushEvery.bytes > 0 else {
      throw ValidationError("--flush-every takes a size from 1 byte on")
    }
  }

  /// The place of the output, which is refused before anything is read.
  ///
  /// - Parameters:
  ///   - inputs: what the conversion reads.
  ///   - orFinished: whether an output that is complete already is as good as with --resume.
  func destination(
    _ output: String, sparing inputs: InputPlaces, orFinished: Bool
  ) throws(Fault) -> OutputPath {
    try .model(output, overwrite: overwrite, orFinished: resume || orFinished, sparing: inputs)
  }

  /// Opens the source, of which an unfinished run may have deleted a part.
  func source(
    _ model: String, threads: Int, for destination: OutputPath?
  ) throws(Fault) -> SourceModel {
    do throws(Fault) {
      do throws(Fault) { return try SourceModel(path: model, threads: threads) } catch {
        // Beginnings stand in for what is missing alone: those of one model are not another's.
        guard let kept = destination.map(WorkFolder.beginnings(of:)),
          try Folder.kind(of: kept) == .folder
        else { throw error }
        return try SourceModel(path: model, threads: threads, standIns: kept)
      }
    } catch {
      var fault = error
      if freeSource, resume, fault.kind == .notFound, let destination, destination.replaced != nil {
        try UnfinishedWork.removeLeftover(of: destination)
        fault.advice =
          "\(destination.path) is there: if an earlier run deleted the source for it, that is "
          + "complete"
      }
      throw fault
    }
  }

  /// What of a plan a run does.
  enum Way {
    case everything
    case part(Share)
    case finish(ConvertPartOptions)
  }

  /// Carries a plan out with progress on standard error.
  func run(
    _ plan: Plan, from source: SourceModel, to destination: OutputPath, _ way: Way,
    _ mode: ProgressLine.Mode
  ) throws(Fault) -> ConversionResult {
    Interruption.listen()
    var checking = ProgressLine(mode, label: "checking what was kept")
    var writing: ProgressLine?
    defer { checking.clear() }
    var options = RunOptions(
      resumes: resume, interval: flushEvery.bytes, freesSource: freeSource)
    options.command = Array(CommandLine.arguments.dropFirst())
    let show = { (progress: ConversionProgress) in
      switch progress.step {
      case .checking: checking.show(progress.written, of: progress.total)
      case .writing:
        // Its clock starts when the writing does.
        if writing == nil { writing = ProgressLine(mode) }
        writing?.show(progress.written, of: progress.total)
      }
    }
    let result =
      switch way {
      case .everything:
        try plan.run(from: source, to: destination, options: options, report: show)
      case .part(let share):
        try plan.runPart(share, from: source, to: destination, options: options, report: show)
      case .finish(let division):
        try plan.finishParts(
          from: source, to: destination, readsBack: division.readBack,
          gathering: division.folders, options: options, report: show)
      }
    checking.clear()
    for warning in result.warnings.dropFirst(plan.warnings.count) {
      Console.message("fathom: warning: \(warning)")
    }
    return result
  }
}
