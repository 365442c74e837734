package import Dialects
internal import Formats
package import Platform
internal import Tensors

/// How far a run has come.
package struct ConversionProgress: Sendable, Hashable {
  /// What it is doing.
  package enum Step: Sendable, Hashable {
    /// Reading back what an earlier run has written.
    case checking
    /// Writing the output.
    case writing
  }

  /// What it is doing.
  package var step = Step.writing
  /// Bytes of that done so far.
  package let written: Int
  /// Bytes that will have been done.
  package let total: Int
}

/// How a plan is carried out; the bytes of the output do not depend on it.
package struct RunOptions: Sendable, Hashable {
  /// Whether to go on with what an earlier run left, and to accept an output that is complete.
  package var resumes: Bool
  /// Most bytes that are written without being noted in the journal: what a crash can cost.
  package var interval: Int
  /// Whether each shard of the source is deleted once all its tensors are safely in the output.
  package var freesSource: Bool
  /// The arguments of the command that asks for it, by which a person can go on later.
  package var command: [String] = []

  /// Often enough that a crash costs seconds, and so seldom that the disk does not notice.
  package static let defaultInterval = 256_000_000

  /// Makes options.
  package init(
    resumes: Bool = false, interval: Int = RunOptions.defaultInterval, freesSource: Bool = false
  ) {
    precondition(interval > 0)
    self.resumes = resumes
    self.interval = interval
    self.freesSource = freesSource
  }
}

/// What a run did.
package struct ConversionResult: Sendable, Hashable {
  /// The output folder.
  package let output: String
  /// Bytes of tensors and files read; scales may be found in a second reading, and what tiles do not
  /// hash is read once more for the manifest.
  package let bytesRead: Int
  /// Bytes that this run wrote.
  package let bytesWritten: Int
  /// Bytes that an earlier run had written; with those of this run, all files.
  package let bytesKept: Int
  /// Whether an earlier run's work was continued, or an output found that is there already.
  package let isResumed: Bool
  /// Bytes that were compared with what the plan would write, of an output that was there already;
  /// nil where this run gave it its name.
  package let bytesCompared: Int?
  /// Files of the source that were deleted by this run.
  package let deletedSourceFiles: Int
  /// Wall time in seconds, flushing included.
  package let seconds: Double
  /// BLAKE3 of the manifest that lies with the output, to be kept somewhere else; nil where none does.
  package let manifestHash: BLAKE3Value?
  /// What the plan warned of, and behind it what happened on the way.
  package let warnings: [String]
}

extension Plan {
  /// Where the output's files go: into a folder of their own, or beside each other.
  var form: WorkFolder.Form {
    recipe.target.own.isFolder
      ? .folder
      : .files(
        layout.files.map(\.name) + (manifest.map { [$0.name] } ?? []),
        companion: manifest.map { ListedFiles.companion($0.name) })
  }

  /// Carries the plan out.
  ///
  /// What is written is noted in a journal when it is on the disk. Where a run ends early, by a
  /// crash, a full disk or the user's wish, what was noted stays in a hidden folder beside the
  /// output, and a run with `resumes` goes on from there. An output under its final name is complete
  /// always.
  ///
  /// - Parameter report: called after each piece that was written.
  /// - Throws: `.cannotCreate` where the place is taken or full, or holds other work; `.inputOutput`
  ///   where reading or writing fails, `.malformed` where the source changed meanwhile,
  ///   `.interrupted`. The fault's advice says what was kept; without one nothing was left behind.
  package func run(
    from source: SourceModel, to destination: OutputPath, options: RunOptions = RunOptions(),
    report: (ConversionProgress) -> Void = { _ in }
  ) throws(Fault) -> ConversionResult {
    try ConversionRun(plan: self, source: source, destination: destination, options: options)
      .run(report: report)
  }

  /// Writes one share of the output into the hidden folder of the work, beside other runs that write
  /// the others, on this machine or on those that have the folder too; an earlier run of the same
  /// share is continued.
  ///
  /// - Returns: what this run did; where the output is complete already, what was compared.
  /// - Throws: as `run` does, and `.cannotCreate` where the folder holds other work. The fault's
  ///   advice says what was kept.
  package func runPart(
    _ share: Share, from source: SourceModel, to destination: OutputPath,
    options: RunOptions = RunOptions(), report: (ConversionProgress) -> Void = { _ in }
  ) throws(Fault) -> ConversionResult {
    let run = ConversionRun(
      plan: self, source: source, destination: destination, options: options)
    return try PartRun(share: share, run: run).run(report: report)
  }

  /// Checks what parts have written, completes it and gives it its name.
  ///
  /// - Parameters:
  ///   - readsBack: whether every byte is compared with what the parts noted of it.
  ///   - folders: where parts lie that were not written into the hidden folder beside the output. They
  ///     are copied there and stay as they are.
  /// - Throws: `.cannotCreate` where a part is missing, not complete, damaged or another
  ///   conversion's, with its number; as `run` does for the rest. What the parts wrote stays then.
  package func finishParts(
    from source: SourceModel, to destination: OutputPath, readsBack: Bool = true,
    gathering folders: [String] = [], options: RunOptions = RunOptions(),
    report: (ConversionProgress) -> Void = { _ in }
  ) throws(Fault) -> ConversionResult {
    let run = ConversionRun(
      plan: self, source: source, destination: destination, options: options)
    return try FinishRun(run: run, readsBack: readsBack, folders: folders).run(report: report)
  }
}
