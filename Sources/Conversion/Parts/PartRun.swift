internal import Dialects
internal import Formats
internal import Platform
internal import Tiles
internal import Weights

/// One run of a part of a conversion: it writes its share of the output's files into the folder of
/// the work, beside the runs of other parts, of which it knows nothing.
///
/// All parts hold the folder's journal together, whose one line says what is converted, so that no
/// run takes the folder for itself meanwhile. Each has a journal of its own for what it wrote.
struct PartRun {
  let share: Share
  let run: ConversionRun

  private var plan: Plan { run.plan }
  private var inventory: Inventory { run.source.checkpoint.inventory }
  private var identity: ConversionIdentity { ConversionIdentity(plan, run.source) }

  /// Writes the share, going on where an earlier run of it was interrupted.
  func run(report: (ConversionProgress) -> Void) throws(Fault) -> ConversionResult {
    if let compared = try run.comparedBytes() { return try run.finished(compared: compared) }
    try inventory.requireNoZeroTail()
    // Without the first part the conversion is not finished.
    if share.number == 1 { try run.source.weights.requireEqualCopies() }
    let work = try claim()
    let records = try begin(work)
    var kept = try KeptWork(plan, share, records: records, work: work, report: report)
    kept.warn(of: work.journal)
    leaveOutUnhashed(records, &kept)
    try run.destination.requireSpace(share.byteCount - kept.byteCount, files: share.files.count)
    let log = try ConversionLog(
      work, plan: plan, share, inventory: inventory, release: nil, interval: run.options.interval,
      kept: kept.bytes)
    let ledger =
      plan.manifest == nil
      ? nil
      : try ContentLedger(
        plan, share, inventory: inventory, records: records, kept: kept, work: work)
    var writer = PlanWriter(
      plan, share, source: run.source, work: work, log: log, kept: kept.bytes, ledger: ledger,
      isPlacing: false)
    let warnings: [String]
    do throws(Fault) {
      try writer.writeWeights(report: report)
      // A share may be empty, where there are more of them than units.
      if !share.files.isEmpty { try log.noteAll() }
      try run.requireUnchangedSource()
      try Interruption.check()
      warnings = kept.warnings + run.warnings(of: writer)
      try work.journal.append([ConversionRecords.done(warnings)])
    } catch {
      throw conclude(error, writing: writer.current, in: work, log)
    }
    return ConversionResult(
      output: run.destination.path, bytesRead: writer.bytesRead, bytesWritten: writer.written,
      bytesKept: kept.byteCount, isResumed: kept.byteCount > 0, bytesCompared: nil,
      deletedSourceFiles: 0, seconds: run.seconds, manifestHash: nil,
      warnings: plan.warnings + warnings)
  }

  /// Takes a share of the folder, and the part's own journal for this run alone.
  private func claim() throws(Fault) -> WorkFolder {
    let taken = Journal.claimed(run.destination.path)
    // Others that begin have the folder for a moment; whoever writes or finishes all of it has it
    // for long.
    for attempt in 0..<500 {
      if attempt > 0 { Journal.pause() }
      do throws(Fault) {
        if let work = try sharedFolder() { return try work.part(named: share.name) }
        try beginFolder()
      } catch {
        guard error == taken else { throw error }
      }
    }
    throw taken
  }

  /// The folder, whose journal says that it is of this conversion; nil where it says nothing yet.
  private func sharedFolder() throws(Fault) -> WorkFolder? {
    let work = try WorkFolder(for: run.destination, form: plan.form, isShared: true)
    let records = try run.records(of: work)
    guard let earlier = records.identity, !records.isExpendable else { return nil }
    do throws(Fault) {
      try identity.requireSame(as: earlier, path: work.path)
      try PartRun.require(records.parts, share.count, path: work.path)
    } catch {
      var fault = error
      fault.advise("remove \(work.path) to begin anew; " + work.look)
      throw fault
    }
    guard !records.isPlacing else {
      throw Fault(
        .cannotCreate, "is getting its files already", file: run.destination.path,
        expected: "--finish, to end that")
    }
    return work
  }

  /// Throws `.cannotCreate` where a folder is divided among another number of parts.
  static func require(_ found: Int?, _ count: Int, path: String) throws(Fault) {
    guard found != count else { return }
    throw Fault(
      .cannotCreate, "unfinished work is divided otherwise", file: path,
      expected: found.map { "--part K/\($0)" } ?? "one run for everything, with --resume",
      found: "--part K/\(count)")
  }

  /// Says in the folder's journal what is converted.
  private func beginFolder() throws(Fault) {
    let work = try WorkFolder(for: run.destination, form: plan.form)
    let records = try run.records(of: work)
    guard records.identity == nil || records.isExpendable else { return }
    try work.restart()
    try work.requireFree()
    try work.begin(identity.line(with: run.origin, parts: share.count))
  }

  /// What the part's journal says, which gets its first line where it has none that can be read: what
  /// it spoke of is made anew then.
  private func begin(_ work: WorkFolder) throws(Fault) -> ConversionRecords {
    if work.journal.text.hasHead {
      let records = try run.records(of: work)
      if records.identity != nil {
        try records.requireOwn(
          share, of: plan, identity, sourceTensors: inventory.tensors.count,
          path: work.journal.path)
        return records
      }
    }
    try work.journal.restart()
    try work.begin(identity.line(with: run.origin, parts: share.count, share: share))
    return try ConversionRecords(JournalText(), file: work.journal.path)
  }

  /// What is hashed behind the share's last byte of a file is hashed with the bytes before it: where
  /// that is not known, they are written again.
  private func leaveOutUnhashed(_ records: ConversionRecords, _ kept: inout KeptWork) {
    guard plan.manifest != nil else { return }
    let known = Set(records.hashes.filter { !$0.isSource }.map(\.tensor))
      .union(records.stretches.map(\.tensor))
    for file in share.files where share.hashed[file].upperBound > share.bytes[file].upperBound {
      let end = share.bytes[file].upperBound
      let placed = plan.layout.files[file]
      let last = zip(placed.tensors, placed.offsets).first { tensor, offset in
        offset < end && end < offset + plan.tensors[tensor].entry.byteCount
      }
      if let last, !known.contains(last.0) { kept.leaveOutLast(of: file, records) }
    }
  }

  /// Notes what a failure leaves; what was noted of a source that changes is forgotten.
  private func conclude(
    _ fault: Fault, writing file: OutputFile?, in work: WorkFolder, _ log: ConversionLog
  ) -> Fault {
    var fault = fault
    guard fault.kind != .malformed, (try? run.requireUnchangedSource()) != nil else {
      try? work.journal.restart()
      return fault
    }
    log.save(file)
    fault.advice =
      "\(log.safeBytes) of the \(share.byteCount) bytes of part \(share.number)/\(share.count) are "
      + "kept in \(work.path): the same command goes on from there; " + work.look
    return fault
  }
}
