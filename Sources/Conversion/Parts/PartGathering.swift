internal import Dialects
internal import Formats
internal import Platform
internal import Tiles

/// Parts that runs have written into folders of their own: what is complete there is brought into the
/// folder of the work, as if all had written there. Nothing in their folders is changed.
///
/// A part's bytes come first, compared with its journal on the way, and that comes last: a part is there
/// or is brought once more, and then what is there of it stays where it is as the journal says.
struct PartGathering {
  let run: ConversionRun
  /// What the user named.
  let folders: [String]

  private var plan: Plan { run.plan }

  /// A part in a folder of work.
  private struct Found {
    let number: Int
    let count: Int
    let folder: String
  }

  /// A part that is complete elsewhere.
  private struct Source {
    let share: Share
    let state: PartState
    let records: ConversionRecords
    let folder: String
  }

  /// Brings what is not there.
  ///
  /// - Throws: `.notFound` where a folder holds no parts; `.cannotCreate` where a part is missing, not
  ///   complete, damaged or another conversion's, by its number or its folder, and where there is no room.
  func run(report: (ConversionProgress) -> Void) throws(Fault) {
    let now = ConversionIdentity(plan, run.source)
    let (sources, count) = try sources(now)
    guard !sources.isEmpty else { return }
    let work = try WorkFolder(for: run.destination, form: plan.form)
    let records = try run.records(of: work)
    if let earlier = records.identity, !records.isExpendable {
      try now.requireSame(as: earlier, path: work.path)
      try PartRun.require(records.parts, count, path: work.path)
      if records.isPlacing { return }
    } else {
      try work.restart()
      try work.requireFree()
      try work.begin(now.line(with: run.origin, parts: count))
    }
    var kept: [KeptWork] = []
    for source in sources {
      kept.append(
        try KeptWork(plan, source.share, records: source.records, work: work) { _ in })
    }
    let total = zip(sources, kept).reduce(0) { $0 + $1.0.share.byteCount - $1.1.byteCount }
    try run.destination.requireSpace(total, files: plan.layout.files.count)
    var done = 0
    for (source, kept) in zip(sources, kept) {
      try copy(source, past: kept, into: work) { bytes in
        done += bytes
        report(ConversionProgress(written: done, total: total))
      }
      try noteBrought(source, in: work)
    }
  }

  /// The parts that have to be brought, in their order, and how many there are in all.
  private func sources(_ now: ConversionIdentity) throws(Fault) -> ([Source], count: Int) {
    let path = run.destination.workPath
    let own = try Folder.kind(of: path) == .folder ? PartGathering.parts(in: path) : []
    let found = try find()
    let counts = Set((own + found).map(\.count)).sorted()
    guard let count = counts.first, counts.count == 1 else {
      throw Fault(
        .cannotCreate, "cannot be made of parts that are divided otherwise",
        file: run.destination.path, expected: "parts of one division",
        found: "K/N with N = \(counts.map(String.init).joined(separator: ", "))")
    }
    let cuts = ShareCuts(plan, count: count)
    var states: [PartState] = []
    var sources: [Source] = []
    for number in 1...count {
      let share = Share(number, cuts, plan)
      var state = try PartState(number, of: count, in: path)
      var folder: String?
      for place in found where place.number == number {
        let other = try PartState(number, of: count, in: place.folder)
        try other.records?.requireOwn(
          share, of: plan, now, sourceTensors: run.source.checkpoint.inventory.tensors.count,
          path: Folder.join(place.folder, share.name))
        let isBetter = state.condition == .missing || other.condition == .complete
        guard state.condition != .complete, isBetter else { continue }
        (state, folder) = (other, place.folder)
      }
      states.append(state)
      if let folder, let records = state.records {
        sources.append(Source(share: share, state: state, records: records, folder: folder))
      }
    }
    try PartState.requireComplete(states, file: run.destination.path)
    return (sources, count)
  }

  /// The parts in the folders that the user named. Each is a hidden folder of work, has that of this
  /// output in it, or has folders that are or have one.
  private func find() throws(Fault) -> [Found] {
    let name = Folder.name(of: run.destination.workPath)
    var all: [Found] = []
    let own = ExactText(run.destination.workPath)
    for folder in folders {
      var found = try PartGathering.parts(in: folder)
      for place in try PartGathering.folders(in: folder) {
        // What is hidden beside this output's is another output's.
        let isHidden = Folder.name(of: place).hasSuffix(ExactText(WorkFolder.suffix))
        guard !isHidden || Folder.name(of: place) == name else { continue }
        found += try PartGathering.parts(in: place)
        let inner = Folder.join(place, name)
        if try Folder.kind(of: inner) == .folder { found += try PartGathering.parts(in: inner) }
      }
      guard !found.isEmpty else {
        throw Fault(
          .notFound, "holds no parts of this output", file: folder,
          expected: "the folder \(name) that convert --part writes")
      }
      // The folder that they are brought into may lie there too.
      all += found.filter { ExactText(Folder.resolved($0.folder)) != own }
    }
    return all
  }

  /// Paths of the folders in a folder.
  private static func folders(in folder: String) throws(Fault) -> [String] {
    var paths: [String] = []
    for name in try Folder.names(in: folder) {
      let path = Folder.join(folder, name)
      if try Folder.kind(of: path) == .folder { paths.append(path) }
    }
    return paths
  }

  /// The parts of a folder of work; none of any other.
  private static func parts(in folder: String) throws(Fault) -> [Found] {
    try Folder.names(in: folder).compactMap(Share.numbers).map {
      Found(number: $0.number, count: $0.count, folder: folder)
    }
  }

  /// A stretch of a file that passes at once.
  private struct Piece {
    let segment: WrittenSegment
    let input: InputFile
    let start: Int
    let count: Int
  }

  /// Copies a part's bytes behind those that are there.
  private func copy(
    _ source: Source, past kept: KeptWork, into work: WorkFolder, report: (Int) -> Void
  ) throws(Fault) {
    let pieces = try pieces(of: source, past: kept)
    let files = plan.layout.files
    var current: (number: Int, output: OutputFile)?
    var sum = CRC32C()
    try OrderedPipeline.run(
      threads: plan.buffers.threads, count: pieces.count, slots: plan.buffers.slots,
      slotBytes: plan.buffers.tileBytes,
      produce: { _, item, slot throws(Fault) in
        let piece = pieces[item]
        let part = UnsafeMutableRawBufferPointer(rebasing: slot[..<piece.count])
        try piece.input.read(at: piece.start, into: part)
        piece.input.dropCache(at: piece.start, count: piece.count)
        return piece.count
      },
      consume: { item, bytes throws(Fault) in
        try Interruption.check()
        let piece = pieces[item]
        let segment = piece.segment
        if current?.number != segment.file {
          try current?.output.finish()
          current = (segment.file, try work.share(files[segment.file].name, from: piece.start))
        }
        try current?.output.append(bytes)
        if piece.start == segment.start { sum = CRC32C() }
        sum.append(CRC32C(bytes))
        guard sum.count < segment.sum.count || sum == segment.sum else {
          throw source.share.fault("other bytes behind byte \(segment.start)", piece.input.path)
        }
        report(piece.count)
      })
    try current?.output.finish()
    if !source.share.files.isEmpty { try work.flushNames() }
  }

  /// What has to be copied of a part, in the order of its bytes.
  private func pieces(of source: Source, past kept: KeptWork) throws(Fault) -> [Piece] {
    let (share, outputs) = (source.share, Folder.join(source.folder, WorkFolder.outputsName))
    var pieces: [Piece] = []
    for file in share.files where kept.bytes[file] < share.bytes[file].upperBound {
      let name = plan.layout.files[file].name
      guard try Folder.kind(of: outputs) == .folder,
        let input = try InputFolder(path: outputs).find(name)
      else { throw share.fault("no such file", Folder.join(outputs, name)) }
      var end = kept.bytes[file]
      for segment in source.records.segments[file] ?? [] where segment.end > end {
        guard segment.start == end, segment.end <= input.size else {
          throw share.fault("nothing, or nothing noted, behind byte \(end)", input.path)
        }
        end = segment.end
        for start in stride(from: segment.start, to: end, by: plan.buffers.tileBytes) {
          let count = min(plan.buffers.tileBytes, end - start)
          pieces.append(Piece(segment: segment, input: input, start: start, count: count))
        }
      }
    }
    return pieces
  }

  /// Gives a part whose bytes are there its journal.
  private func noteBrought(_ source: Source, in work: WorkFolder) throws(Fault) {
    let own = try work.part(named: source.share.name)
    try own.journal.restart()
    for line in source.state.lines.prefix(1) { try own.begin(line) }
    try own.journal.append(Array(source.state.lines.dropFirst()))
  }
}

extension Share {
  /// The fault of a file that does not hold what its part wrote.
  func fault(_ found: String, _ path: String) -> Fault {
    var fault = Fault(
      .cannotCreate, "is not what part \(number)/\(count) wrote", file: path, found: found)
    fault.advice = "run that part again: it writes anew what is damaged"
    return fault
  }
}
