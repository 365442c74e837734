internal import Formats
internal import Platform

/// One run of a conversion, from what an earlier one left to the output under its name.
struct ConversionRun {
  let plan: Plan
  let source: SourceModel
  let destination: OutputPath
  let options: RunOptions
  private let start = ContinuousClock.now

  init(plan: Plan, source: SourceModel, destination: OutputPath, options: RunOptions) {
    self.plan = plan
    self.source = source
    self.destination = destination
    self.options = options
  }

  private var inventory: Inventory { source.checkpoint.inventory }

  /// Does everything.
  func run(report: (ConversionProgress) -> Void) throws(Fault) -> ConversionResult {
    if options.freesSource { try SourceRelease.check(source) }
    if options.resumes, try isFinished() { return try finished() }
    let work = try WorkFolder(for: destination, form: plan.form)
    let identity = ConversionIdentity(plan, source)
    let records = try ConversionRecords(work.journal)
    let isResumed = try continues(records, identity, in: work)
    let (kept, log, ledger): (KeptWork, ConversionLog, ContentLedger?)
    do throws(Fault) {
      kept =
        isResumed
        ? try KeptWork(plan, records: records, work: work, report: report) : KeptWork(plan)
      if !records.isPlacing { try work.requireFree() }
      log = try ConversionLog(
        work, identity: identity, plan: plan, inventory: inventory,
        release: prepareRelease(kept: kept, in: work), interval: options.interval,
        kept: isResumed ? kept.bytes : nil)
      ledger = try self.ledger(kept, records, work, isResumed: isResumed)
    } catch {
      // What an earlier run left stays for the next one.
      if isResumed { throw advising(error, keeping: records.byteCount, in: work) }
      work.remove()
      throw error
    }
    let writer = PlanWriter(
      plan, source: source, work: work, log: log, kept: kept.bytes, ledger: ledger,
      isPlacing: records.isPlacing)
    return try write(
      with: writer, into: work, kept: kept, log: log, isResumed: isResumed, report: report)
  }

  /// Hashes that are known already; nil where nobody asks for them.
  private func ledger(
    _ kept: KeptWork, _ records: ConversionRecords, _ work: WorkFolder, isResumed: Bool
  ) throws(Fault) -> ContentLedger? {
    guard plan.manifest != nil else { return nil }
    return isResumed
      ? try ContentLedger(plan, inventory: inventory, records: records, kept: kept, work: work)
      : ContentLedger(plan, inventory: inventory)
  }

  /// Looks whether there is room, and which shards may go on the way to make some.
  private func prepareRelease(
    kept: KeptWork, in work: WorkFolder
  ) throws(Fault) -> SourceRelease? {
    let release = SourceRelease(plan, inventory: inventory)
    if let shard = release.missing(kept: kept.bytes) {
      throw Fault(
        .inputOutput, "has been deleted, and what was made from it is damaged",
        file: shard.file.path)
    }
    let folder = Folder.parent(of: destination.path)
    try destination.requireSpace(
      options.freesSource
        ? release.space(plan, kept: kept.bytes, interval: options.interval, folder: folder)
        : plan.byteCount - kept.byteCount, files: plan.files.count)
    guard options.freesSource else { return nil }
    try work.keep(
      beginnings: inventory.shards.filter { !$0.file.isGone }.map { shard in
        (shard.name, { () throws(Fault) in try ShardStandIn.beginning(of: shard) })
      })
    return release
  }

  /// Decides what becomes of an earlier run's work; returns whether it is continued.
  private func continues(
    _ records: ConversionRecords, _ identity: ConversionIdentity, in work: WorkFolder
  ) throws(Fault) -> Bool {
    guard let earlier = records.identity, records.isWorthKeeping else {
      try work.restart()
      return false
    }
    // What was deleted of the source is in this work alone: nothing may throw it away.
    let isOnlyCopy = !records.deleted.isEmpty
    if options.resumes {
      let now = identity.filled(from: earlier, deleted: records.deleted)
      do throws(Fault) { try now.requireSame(as: earlier, path: work.path) } catch {
        var fault = error
        fault.advice =
          isOnlyCopy
          ? "do not remove \(work.path), which has what was in source files that are deleted"
          : "remove \(work.path) to begin anew, or give --overwrite without --resume"
        throw fault
      }
      return true
    }
    guard destination.mayReplace, !isOnlyCopy else {
      throw Fault(
        .cannotCreate, "has unfinished work of an earlier run", file: destination.path,
        expected: "--resume to go on" + (isOnlyCopy ? "" : ", or --overwrite to begin anew"),
        found: "\(records.byteCount) bytes in \(work.path)")
    }
    try work.restart()
    return false
  }

  /// Writes everything and gives it its name; what can be kept of a failure is kept.
  private func write(
    with writer: PlanWriter, into work: WorkFolder, kept: KeptWork, log: ConversionLog,
    isResumed: Bool,
    report: (ConversionProgress) -> Void
  ) throws(Fault) -> ConversionResult {
    var writer = writer
    let leftover: String?
    do throws(Fault) {
      try writer.writeWeights(report: report)
      try log.releaseRest()
      try writer.writeRest()
      try requireUnchangedSource()
      try Interruption.check()
      leftover = try work.commit(mark: ConversionRecords.placing)
    } catch {
      throw conclude(error, writing: writer.current, in: work, log)
    }
    return ConversionResult(
      output: destination.path, bytesRead: writer.bytesRead, bytesWritten: writer.written,
      bytesKept: kept.byteCount, isResumed: isResumed, deletedSourceFiles: log.deletedCount,
      seconds: seconds, manifestHash: writer.manifestHash,
      warnings: plan.warnings + kept.warnings
        + [log.remainder, leftover.map(ConversionRun.left)].compactMap { $0 })
  }

  /// Decides what a failure leaves: what is worth it and can be trusted stays.
  private func conclude(
    _ fault: Fault, writing file: OutputFile?, in work: WorkFolder, _ log: ConversionLog
  ) -> Fault {
    // A file that somebody cuts short looks like a disk that fails.
    let isTrusted = fault.kind != .malformed && (try? requireUnchangedSource()) != nil
    if isTrusted { log.save(file) }
    guard isTrusted && log.safeBytes > 0 || inventory.shards.contains(where: \.file.isGone) else {
      work.remove()
      return fault
    }
    return advising(fault, keeping: log.safeBytes, in: work)
  }

  /// The fault with what was kept and how to go on.
  private func advising(_ fault: Fault, keeping bytes: Int, in work: WorkFolder) -> Fault {
    var fault = fault
    let gone = inventory.shards.count { $0.file.isGone }
    fault.advice =
      "\(bytes) of \(plan.byteCount) bytes are kept in \(work.path): the same command with "
      + "--resume goes on from there; "
      + (gone > 0
        ? "do not remove that folder, which has what was in \(gone) source files that are deleted"
        : "remove that folder to give them up")
    return fault
  }

  private func requireUnchangedSource() throws(Fault) {
    for shard in inventory.shards { try shard.file.requireUnchanged() }
  }

  private var seconds: Double {
    let elapsed = (ContinuousClock.now - start).components
    return Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
  }

  // MARK: An output that is complete

  /// Whether the output stands under its name already.
  ///
  /// - Throws: `.cannotCreate` where something else does that may not be replaced.
  private func isFinished() throws(Fault) -> Bool {
    let output = FinishedOutput(plan: plan, source: source, destination: destination)
    guard try output.isThere() else { return false }
    guard let difference = try output.difference() else { return true }
    guard destination.mayReplace else {
      throw Fault(
        .cannotCreate, "exists already and is not what this conversion gives",
        file: destination.path, expected: "a new name, or --overwrite", found: difference)
    }
    return false
  }

  /// What is said of it; a crash after the last step may have left the folder of the work.
  private func finished() throws(Fault) -> ConversionResult {
    let output = FinishedOutput(plan: plan, source: source, destination: destination)
    var leftover: String?
    if try Folder.kind(of: destination.workPath) == .folder {
      let work = try WorkFolder(for: destination, form: plan.form)
      if !work.remove() { leftover = work.path }
    }
    return ConversionResult(
      output: destination.path, bytesRead: 0, bytesWritten: 0, bytesKept: plan.byteCount,
      isResumed: true, deletedSourceFiles: 0, seconds: seconds,
      manifestHash: try output.manifestHash(),
      warnings: plan.warnings + [leftover.map(ConversionRun.left)].compactMap { $0 })
  }

  private static func left(_ path: String) -> String {
    "the folder of unfinished work could not be removed: \(path)"
  }
}
