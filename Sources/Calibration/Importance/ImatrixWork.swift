internal import Conversion
internal import Formats
internal import Parts
internal import Passes
internal import Platform
internal import Reports

/// What a pass has measured so far, in a hidden folder beside the output: from there another run goes on
/// when this one is interrupted.
///
/// `sums` grows by every layer's sums, as `MeasuredImportance.numbers` has them. Now and then the states
/// behind a layer are written too, into one of two files by turns, and the journal says what is on the
/// disk (`KeptPass`): the states of the last two notes are there, so that damage to one costs a few layers.
final class ImatrixWork {
  /// What is measured and kept.
  private(set) var kept: KeptPass?
  private let work: WorkFolder
  private let files: ModelFiles
  private let layers: Int
  private let pace: Pace
  private let sums: OutputFile
  /// Bytes of `sums` that no note speaks of.
  private var pending = CRC32C()

  private static let sumsName: ExactText = "sums"
  private static let statesNames: [ExactText] = ["states-0", "states-1"]

  /// Goes on with what an earlier run left, or begins.
  ///
  /// - Parameters:
  ///   - request: what is measured, and how.
  ///   - layers: of the network, MTP layers included.
  ///   - bytes: that the folder and the output will take.
  /// - Throws: `.cannotCreate` where another run is at work there, where unfinished work is not to be
  ///   continued or is of something else, or where there is no space; `.inputOutput`.
  init(
    _ files: ModelFiles, _ request: ImatrixRequest, layers: Int, bytes: Int,
    beside destination: OutputPath
  ) throws(Fault) {
    let work = try WorkFolder(
      for: destination, form: .files([Folder.name(of: destination.path)]))
    let identity = request.identity(files)
    let state = try ImatrixWork.state(
      in: work, identity, request, mayReplace: destination.mayReplace)
    do throws(Fault) {
      kept = try ImatrixWork.sound(state ?? [], in: work)
      let there = kept.map { $0.found.end + ($0.states?.sum.count ?? 0) } ?? 0
      try destination.requireSpace(max(0, bytes - there), files: 4)
      if state == nil {
        let origin = ConversionOrigin(
          folder: files.checkpoint.folder, to: destination, files: [], command: request.command)
        try work.begin(identity.line(with: origin, layers: layers))
      }
      if let kept {
        sums = try work.reopen(ImatrixWork.sumsName, after: kept.found.end)
      } else {
        sums = try work.create(ImatrixWork.sumsName)
      }
    } catch {
      var fault = error
      if state == nil {
        work.remove()
        if fault.kind == .cannotCreate { fault.advice = "--keep-every 0 keeps nothing on the way" }
      } else {
        fault.advice = work.advice
      }
      throw fault
    }
    (self.work, self.files, self.layers) = (work, files, layers)
    pace = Pace(every: request.keepEvery, after: kept?.layers ?? 0)
  }

  /// What the journal says of earlier work that is to be continued; nil where there is none (any more).
  private static func state(
    in work: WorkFolder, _ identity: ConversionIdentity, _ request: ImatrixRequest, mayReplace: Bool
  ) throws(Fault) -> [KeptPass]? {
    let records: ConversionRecords
    do throws(Fault) {
      records = try ConversionRecords(work.journal.text, file: work.journal.path)
    } catch {
      var fault = error
      fault.advice = work.advice
      throw fault
    }
    // What a run that is complete has left tells whether the output that is there is its own.
    let isOver = work.destination.standing != nil && !mayReplace
    guard let earlier = records.identity, isOver || !records.isExpendable, records.isWorthKeeping
    else {
      try work.restart()
      return nil
    }
    if request.resumes {
      do throws(Fault) {
        try identity.requireSame(as: earlier, path: work.path)
        return records.passes
      } catch {
        // A part is run again with whatever it is asked for.
        guard !request.isPart else {
          try work.restart()
          return nil
        }
        var fault = error
        fault.advice =
          "remove \(work.path) to begin anew, or give --overwrite without --resume; " + work.look
        throw fault
      }
    }
    guard mayReplace else {
      var fault = Fault(
        .cannotCreate, "has unfinished work of an earlier run", file: work.destination.path,
        expected: "--resume to go on, or --overwrite to begin anew", found: work.path)
      fault.advice = work.look
      throw fault
    }
    try work.restart()
    return nil
  }

  /// The last note whose files hold what it says; nil where there is none.
  private static func sound(
    _ passes: [KeptPass], in work: WorkFolder
  ) throws(Fault) -> KeptPass? {
    // A run that went on behind an earlier note says so by where its sums begin.
    var chain: [KeptPass] = []
    for pass in passes {
      while let last = chain.last, last.found.end > pass.found.start { chain.removeLast() }
      guard chain.last?.found.end ?? 0 == pass.found.start else { break }
      chain.append(pass)
    }
    let sums = try work.read(sumsName)
    var whole = 0
    for pass in chain {
      guard try sums?.holds(pass.found.sum, at: pass.found.start) == true else { break }
      whole += 1
    }
    for pass in chain[..<whole].reversed() {
      if let states = pass.states {
        let file = statesNames.contains(states.name) ? try work.read(states.name) : nil
        guard try file?.holds(states.sum, at: 0) == true else { continue }
      }
      if pass != chain.last { warn(work, "goes on behind layer \(pass.layers)") }
      return pass
    }
    // Of a run that is complete the folder is being removed.
    if !passes.isEmpty, sums != nil || work.destination.standing == nil {
      warn(work, "nothing of it is used, and the work begins anew")
    }
    return nil
  }

  private static func warn(_ work: WorkFolder, _ what: String) {
    Console.message("fathom: warning: what was kept in \(work.path) is damaged: \(what)")
  }

  /// Fills a store with the states behind the last layer that is kept.
  func fill(_ store: inout StateStore) throws(Fault) {
    guard let states = kept?.states, let file = try work.read(states.name),
      states.sum.count == store.keptBytes(withKeys: states.hasKeys)
    else {
      throw Fault(
        .inputOutput, "does not hold the states that its journal speaks of", file: work.path)
    }
    try store.fill(withKeys: states.hasKeys) { offset, bytes throws(Fault) in
      try file.read(at: offset, into: bytes)
    }
  }

  /// Takes what was measured of a tensor.
  func append(_ measured: MeasuredImportance) throws(Fault) {
    pending.append(
      try PartNumbers.bytes(of: measured.numbers) { bytes throws(Fault) in
        try sums.append(bytes)
        return CRC32C(bytes)
      })
  }

  /// Notes what is measured where it is time for that, and behind the last layer.
  ///
  /// - Parameter states: those behind the layers that are done.
  func note(layers done: Int, _ states: StateStore) throws(Fault) {
    guard done == layers || pace.isDue(done, bytes: states.keptBytes(withKeys: states.hasKeys))
    else { return }
    let start = ContinuousClock.now
    let found = WrittenSegment(file: 0, start: kept?.found.end ?? 0, sum: pending)
    let pass = KeptPass(
      layers: done, found: found, states: done == layers ? nil : try write(states))
    try sums.flush.run()
    try work.flushNames()
    // What came from files that somebody is changing is not worth a note.
    try requireUnchangedSource()
    try work.journal.append([pass.line])
    (kept, pending) = (pass, CRC32C())
    let cost = ContinuousClock.now - start
    pace.noted(done, took: cost)
    Console.step(
      "kept \(done) of \(layers) layers, \(ByteSize.shown(found.end)) of sums and "
        + "\(ByteSize.shown(pass.states?.sum.count ?? 0)) of states, in "
        + "\(Quantity.fixed(cost / .seconds(1), digits: 2)) s")
  }

  private func write(_ states: StateStore) throws(Fault) -> KeptPass.States {
    let name = ImatrixWork.statesNames.first { $0 != kept?.states?.name } ?? "states-0"
    let file = try work.create(name)
    var sum = CRC32C()
    try states.write { bytes throws(Fault) in
      try file.append(bytes)
      sum.append(CRC32C(bytes))
    }
    try file.finish()
    return KeptPass.States(name: name, sum: sum, hasKeys: states.hasKeys)
  }

  /// Hands everything out that was measured, in the order in which it came.
  func handOut<Sink: ImportanceSink>(
    _ tensors: [ImportanceTensor], to sink: Sink
  ) throws(Fault) -> Sink.Result {
    var sink = sink
    guard let file = try work.read(ImatrixWork.sumsName) else {
      throw Fault(.inputOutput, "has lost its sums", file: work.path)
    }
    var place = 0
    for tensor in tensors {
      var measured = MeasuredImportance(tensor.entry)
      let size = tensor.entry.numberCount * MemoryLayout<Double>.stride
      let bytes = try file.read(at: place, count: size)
      place += size
      guard measured.add(PartNumbers.numbers(bytes)) else {
        throw Fault(
          .inputOutput, "does not hold the sums of a tensor", file: work.path,
          tensor: tensor.entry.name)
      }
      try sink.write(measured)
    }
    return try sink.finish()
  }

  /// A place in the folder, for an output to be compared with the one that is there.
  func placeBeside() throws(Fault) -> OutputPath {
    try OutputPath(Folder.join(work.path, "again"), overwrite: true, replacing: .importance)
  }

  /// Removes the folder: the output is complete.
  func remove() { work.remove() }

  /// Decides what a failure leaves, and says so: what is worth it and can be trusted stays.
  func concluding(_ fault: Fault) -> Fault {
    let isTrusted = fault.kind != .malformed && (try? requireUnchangedSource()) != nil
    guard isTrusted, let kept else {
      work.remove()
      return fault
    }
    var fault = fault
    fault.advice =
      "\(kept.layers) of \(layers) layers are kept in \(work.path): the same command with --resume "
      + "goes on from there; remove that folder to give them up; " + work.look
    return fault
  }

  private func requireUnchangedSource() throws(Fault) {
    for shard in files.inventory.shards { try shard.file.requireUnchanged() }
  }
}

/// Behind which layers a pass is kept: as often as a fiftieth of its time allows, unless the user says
/// otherwise.
private final class Pace {
  private let every: Int?
  private var last = ContinuousClock.now
  private var lastLayers: Int
  /// How long the last note took.
  private var cost: Duration?

  private static let patience = Duration.seconds(5)
  private static let share = 50
  /// Bytes a second that any disk takes.
  private static let rate = 2e8

  init(every: Int?, after layers: Int) { (self.every, lastLayers) = (every, layers) }

  /// Whether it is time for a note that has so many bytes.
  func isDue(_ layers: Int, bytes: Int) -> Bool {
    if let every { return every > 0 && layers - lastLayers >= every }
    let cost = cost ?? .seconds(Double(bytes) / Pace.rate)
    return ContinuousClock.now - last >= max(Pace.patience, cost * Pace.share)
  }

  func noted(_ layers: Int, took cost: Duration) {
    (last, lastLayers, self.cost) = (.now, layers, cost)
  }
}

extension InputFile {
  /// Whether the bytes from an offset on are those that a checksum was taken of.
  fileprivate func holds(_ sum: CRC32C, at start: Int) throws(Fault) -> Bool {
    guard start + sum.count <= size else { return false }
    var found = CRC32C()
    while found.count < sum.count {
      let bytes = try read(at: start + found.count, count: min(4 << 20, sum.count - found.count))
      found.append(bytes.withUnsafeBytes { CRC32C($0) })
    }
    return found == sum
  }
}
