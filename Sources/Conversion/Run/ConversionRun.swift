internal import Dialects
internal import Formats
internal import Platform
internal import Reports
internal import Tiles
internal import Weights

/// One run of a conversion, from what an earlier one left to the output under its name.
struct ConversionRun {
  let plan: Plan
  let source: SourceModel
  let destination: OutputPath
  let options: RunOptions
  private let start = ContinuousClock.now
  private let share: Share

  init(plan: Plan, source: SourceModel, destination: OutputPath, options: RunOptions) {
    self.plan = plan
    share = Share(wholeOf: plan)
    self.source = source
    self.destination = destination
    self.options = options
  }

  private var inventory: Inventory { source.checkpoint.inventory }

  /// Does everything.
  func run(report: (ConversionProgress) -> Void) throws(Fault) -> ConversionResult {
    if options.freesSource { try SourceRelease.check(source) }
    if options.resumes, let compared = try comparedBytes() {
      return try finished(compared: compared)
    }
    try inventory.requireNoZeroTail()
    try source.weights.requireEqualCopies()
    let work = try WorkFolder(for: destination, form: plan.form)
    let records = try records(of: work)
    let isResumed = try continues(records, in: work)
    let (kept, log, ledger): (KeptWork, ConversionLog, ContentLedger?)
    do throws(Fault) {
      var known = KeptWork(share)
      if isResumed {
        known = try KeptWork(plan, share, records: records, work: work, report: report)
        known.warn(of: work.journal)
      }
      if !records.isPlacing { try work.requireFree() }
      let release = try prepareRelease(kept: known)
      if !isResumed { try begin(work) }
      log = try ConversionLog(
        work, plan: plan, share, inventory: inventory,
        release: options.freesSource ? release : nil,
        interval: options.interval, kept: known.bytes)
      if options.freesSource { try keepBeginnings(in: work) }
      ledger = try self.ledger(known, records, work, isResumed: isResumed)
      kept = known
    } catch {
      // What an earlier run left stays for the next one.
      if isResumed { throw advising(error, keeping: records.byteCount, in: work) }
      work.remove()
      throw error
    }
    let writer = PlanWriter(
      plan, share, source: source, work: work, log: log, kept: kept.bytes, ledger: ledger,
      isPlacing: records.isPlacing)
    return try write(
      with: writer, into: work, kept: kept, log: log, isResumed: isResumed, report: report)
  }

  /// What the journal says.
  ///
  /// - Throws: `.cannotCreate` where it cannot be read, with the advice to look at it.
  func records(of work: WorkFolder) throws(Fault) -> ConversionRecords {
    do throws(Fault) {
      return try ConversionRecords(work.journal.text, file: work.journal.path)
    } catch {
      var fault = error
      fault.advice = work.advice
      throw fault
    }
  }

  /// Says in the journal what is begun, before there is anything to keep.
  private func begin(_ work: WorkFolder) throws(Fault) {
    try work.begin(ConversionIdentity(plan, source).line(with: origin))
  }

  /// By which command it is done.
  var origin: ConversionOrigin {
    ConversionOrigin(plan, source, to: destination, command: options.command)
  }

  /// Hashes that are known already; nil where nobody asks for them.
  private func ledger(
    _ kept: KeptWork, _ records: ConversionRecords, _ work: WorkFolder, isResumed: Bool
  ) throws(Fault) -> ContentLedger? {
    guard plan.manifest != nil else { return nil }
    return isResumed
      ? try ContentLedger(
        plan, share, inventory: inventory, records: records, kept: kept, work: work)
      : ContentLedger(plan, share, inventory: inventory)
  }

  /// Looks whether there is room, and which shards may go on the way to make some.
  private func prepareRelease(kept: KeptWork) throws(Fault) -> SourceRelease {
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
    return release
  }

  /// Keeps what says what is in shards, before they are deleted.
  private func keepBeginnings(in work: WorkFolder) throws(Fault) {
    try work.keep(
      beginnings: inventory.shards.filter { !$0.file.isGone }.map { shard in
        (shard.name, { () throws(Fault) in try ShardStandIn.beginning(of: shard) })
      })
  }

  /// Decides what becomes of an earlier run's work; returns whether it is continued.
  ///
  /// What may be nowhere else is continued or left as it is, whatever the options say: a shard of the
  /// source that is gone, work whose files are getting their names, a journal that is damaged.
  private func continues(
    _ records: ConversionRecords, in work: WorkFolder
  ) throws(Fault) -> Bool {
    guard let earlier = records.identity, !records.isExpendable else {
      try work.restart()
      return false
    }
    if let parts = records.parts {
      guard destination.mayReplace, !options.resumes, !records.isPlacing else {
        var fault = Fault(
          .cannotCreate, "has unfinished work of \(parts) parts", file: destination.path,
          expected: "--part K/\(parts) to go on, and --finish in the end")
        fault.advice = work.advice
        throw fault
      }
      try work.restart()
      return false
    }
    let gone = inventory.shards.filter(\.file.isStandIn).map { $0.name }
    let isOnlyCopy = !records.deleted.isEmpty || !gone.isEmpty
    let mayGo = !isOnlyCopy && !records.isPlacing && (try? work.requireNothingToLose()) != nil
    // Without bytes only hashes are known, which a run that goes on looks at first.
    if mayGo, !records.isWorthKeeping, !options.resumes || records.hashes.isEmpty {
      try work.restart()
      return false
    }
    if options.resumes {
      let now = ConversionIdentity(plan, source).filled(from: earlier, gone: Set(gone))
      do throws(Fault) {
        try now.requireSame(as: earlier, path: work.path)
        try records.requireFits(
          plan, sourceTensors: inventory.tensors.count, file: work.journal.path)
      } catch {
        var fault = error
        let way =
          isOnlyCopy
          ? "do not remove \(work.path), which has what was in source files that are deleted; "
          : "remove \(work.path) to begin anew, or give --overwrite without --resume; "
        fault.advise(way + work.look)
        throw fault
      }
      return true
    }
    guard destination.mayReplace, mayGo else {
      var fault = Fault(
        .cannotCreate, "has unfinished work of an earlier run", file: destination.path,
        expected: "--resume to go on" + (mayGo ? ", or --overwrite to begin anew" : ""),
        found: "\(records.byteCount) bytes in \(work.path)")
      fault.advice = mayGo ? work.look : work.advice
      throw fault
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
      bytesKept: kept.byteCount, isResumed: isResumed, bytesCompared: nil,
      deletedSourceFiles: log.deletedCount, seconds: seconds, manifestHash: writer.manifestHash,
      warnings: plan.warnings + kept.warnings + warnings(of: writer)
        + [log.remainder, leftover.map(ConversionRun.left)].compactMap { $0 })
  }

  /// What was seen on the way and cannot be meant so.
  func warnings(of writer: PlanWriter) -> [String] {
    [
      ConversionRun.warning(
        "of the source", "nothing but zeros, as where a file has a hole", writer.zeroWeights),
      ConversionRun.warning(
        "of the output", "NaN or infinity, as the source does, and may turn all logits into NaN",
        writer.tensorsNotFinite),
      ConversionRun.movedCodes(in: writer.tensorsWithMovedCodes),
    ].compactMap { $0 }
  }

  /// Says which weights cannot be meant so, which nobody should find out later.
  private static func warning(_ whose: String, _ what: String, _ names: [ExactText]) -> String? {
    guard !names.isEmpty else { return nil }
    let subject =
      names.count == 1 ? "1 weight \(whose) holds" : "\(names.count) weights \(whose) hold"
    return "\(subject) \(what): \(list(names)); fathom validate --deep says where they lie"
  }

  /// Says which weights an encoder spoils that must be as it is, to the byte.
  private static func movedCodes(in names: [ExactText]) -> String? {
    guard !names.isEmpty else { return nil }
    return "llama.cpp's encoder of IQ3_S leaves no room for 32 zeros in a row, so that other "
      + "numbers stand behind them in \(Quantity.plural(names.count, "tensor")), here as in its own files: "
      + "\(list(names)); --tensor-type gives them another type"
  }

  private static func list(_ names: [ExactText]) -> String {
    names.prefix(3).map(\.text).joined(separator: ", ") + (names.count > 3 ? ", …" : "")
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
        ? "do not remove that folder, which has what was in \(gone) source files that are deleted; "
        : "remove that folder to give them up; ") + work.look
    return fault
  }

  func requireUnchangedSource() throws(Fault) {
    for shard in inventory.shards { try shard.file.requireUnchanged() }
  }

  var seconds: Double {
    let elapsed = (ContinuousClock.now - start).components
    return Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
  }
}
