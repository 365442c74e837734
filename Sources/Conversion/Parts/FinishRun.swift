internal import Dialects
internal import Formats
internal import Platform

/// The end of a conversion that parts have written: they are checked, what is small is written, and
/// the output takes its name.
struct FinishRun {
  let run: ConversionRun
  /// Whether what the parts wrote is read back and compared with their journals.
  let readsBack: Bool
  /// Folders with parts that were written elsewhere.
  let folders: [String]

  private var plan: Plan { run.plan }
  private var inventory: Inventory { run.source.checkpoint.inventory }

  /// Does everything.
  func run(report: (ConversionProgress) -> Void) throws(Fault) -> ConversionResult {
    if let compared = try run.comparedBytes() { return try run.finished(compared: compared) }
    let path = run.destination.workPath
    let isBegun = try Folder.kind(of: path) == .folder
    guard isBegun || !folders.isEmpty else {
      throw Fault(
        .cannotCreate, "has no parts to finish", file: run.destination.path,
        expected: "convert --part K/N for each K, run before")
    }
    if !folders.isEmpty { try gather(report: report) }
    let work = try claim()
    do throws(Fault) { return try finish(work, report: report) } catch {
      var fault = error
      fault.advice = fault.advice ?? "what the parts wrote stays; " + work.look
      throw fault
    }
  }

  /// Brings parts that were written elsewhere.
  private func gather(report: (ConversionProgress) -> Void) throws(Fault) {
    do throws(Fault) { try PartGathering(run: run, folders: folders).run(report: report) } catch {
      var fault = error
      fault.advice =
        fault.advice ?? "the parts' own folders stay as they are, and what was brought of them too"
      throw fault
    }
  }

  /// Takes the folder for this run alone.
  private func claim() throws(Fault) -> WorkFolder {
    do throws(Fault) { return try WorkFolder(for: run.destination, form: plan.form) } catch {
      // A part that is at work is named.
      let path = run.destination.workPath
      if let (text, _) = try Journal.look(in: path),
        let count = try ConversionRecords(text, file: path).parts
      {
        try PartState.requireComplete(
          PartState.all(of: count, in: path), file: run.destination.path)
      }
      throw error
    }
  }

  private func finish(
    _ work: WorkFolder, report: (ConversionProgress) -> Void
  ) throws(Fault) -> ConversionResult {
    let records = try run.records(of: work)
    guard let identity = records.identity, let count = records.parts else {
      throw Fault(
        .cannotCreate, "holds no work of parts", file: work.path,
        expected: "convert --part K/N for each K, run before")
    }
    let now = ConversionIdentity(plan, run.source)
    try now.requireSame(as: identity, path: work.path)
    let states = try PartState.all(of: count, in: work.path)
    try PartState.requireComplete(states, file: run.destination.path)
    let cuts = ShareCuts(plan, count: count)
    for state in states {
      let share = Share(state.number, cuts, plan)
      try state.records?.requireOwn(
        share, of: plan, now, sourceTensors: inventory.tensors.count,
        path: Folder.join(work.path, share.name))
    }
    if !records.isPlacing {
      try work.requireFree()
      try requireFiles(states, cuts, work, report: report)
    }
    let share = Share(wholeOf: plan)
    var ledger = plan.manifest == nil ? nil : ContentLedger(plan, share, inventory: inventory)
    for state in states {
      ledger?.take(state.records?.hashes ?? []) { _ in true }
      ledger?.take(state.records?.stretches ?? [])
    }
    try complete(&ledger, states, cuts, file: run.destination.path)
    let sizes = plan.layout.files.map(\.byteCount)
    let log = try ConversionLog(
      work, plan: plan, share, inventory: inventory, release: nil, interval: run.options.interval,
      kept: sizes)
    var writer = PlanWriter(
      plan, share, source: run.source, work: work, log: log, kept: sizes, ledger: ledger,
      isPlacing: records.isPlacing)
    try writer.writeRest()
    try run.requireUnchangedSource()
    try Interruption.check()
    let leftover = try work.commit(mark: ConversionRecords.placing)
    return ConversionResult(
      output: run.destination.path, bytesRead: writer.bytesRead, bytesWritten: writer.written,
      bytesKept: sizes.reduce(0, +), isResumed: true, bytesCompared: nil, deletedSourceFiles: 0,
      seconds: run.seconds, manifestHash: writer.manifestHash,
      warnings: plan.warnings
        + states.flatMap { state in
          (state.records?.warningsOfDone ?? []).map { "part \(state.number)/\(count): \($0)" }
        } + [leftover.map(ConversionRun.left)].compactMap { $0 })
  }

  /// Throws `.cannotCreate` where a file is not what the parts' journals say, by the part's number.
  private func requireFiles(
    _ states: [PartState], _ cuts: ShareCuts, _ work: WorkFolder,
    report: (ConversionProgress) -> Void
  ) throws(Fault) {
    func fault(_ number: Int, _ what: String, _ file: String) -> Fault {
      Share(number, cuts, plan).fault(what, file)
    }
    for (number, file) in plan.layout.files.enumerated() {
      let part = states.last { $0.records?.part?.bytes[number] != nil }?.number ?? 1
      guard let input = try work.read(file.name) else {
        throw fault(part, "no such file", file.name.text)
      }
      guard input.size == file.byteCount else {
        throw fault(part, "\(input.size) bytes and not \(file.byteCount)", input.path)
      }
    }
    guard readsBack else { return }
    let total = plan.layout.files.reduce(0) { $0 + $1.byteCount }
    var before = 0
    for state in states {
      guard let records = state.records else { continue }
      let share = Share(state.number, cuts, plan)
      let kept = try KeptWork(plan, share, records: records, work: work) { progress in
        report(
          ConversionProgress(step: .checking, written: before + progress.written, total: total))
      }
      for file in share.files where kept.bytes[file] < share.bytes[file].upperBound {
        throw fault(
          state.number, "other bytes behind byte \(kept.bytes[file])",
          plan.layout.files[file].name.text)
      }
      before += share.byteCount
    }
  }

  /// Joins what the parts know of hashes.
  ///
  /// - Throws: `.cannotCreate` with the tensor and the part that should know its hash.
  private func complete(
    _ ledger: inout ContentLedger?, _ states: [PartState], _ cuts: ShareCuts, file: String
  ) throws(Fault) {
    guard var all = ledger else { return }
    all.join()
    all.finish()
    ledger = all
    guard let (isSource, tensor) = all.firstUnknown() else { return }
    let name =
      isSource ? inventory.tensors[tensor].name : plan.tensors[tensor].entry.name
    let part = states.first { state in
      let own = ContentLedger(plan, Share(state.number, cuts, plan), inventory: inventory)
      guard let records = state.records else { return false }
      let isKnown = records.hashes.contains { $0.isSource == isSource && $0.tensor == tensor }
      return isSource
        ? own.unread()[tensor] && !isKnown
        : !own.hashed[tensor].isEmpty && !isKnown
          && !records.stretches.contains { $0.tensor == tensor }
    }
    var fault = Fault(
      .cannotCreate, "lacks a hash in the journal of part \(part?.number ?? 1)/\(states.count)",
      file: file, tensor: name)
    fault.advice = "run that part again: it finds out what it has not noted"
    throw fault
  }
}
