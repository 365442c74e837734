internal import Dialects
internal import Formats
internal import Platform

/// Notes in the journal what is safely on the disk, beside the writing.
final class ConversionLog {
  private let work: WorkFolder
  private let shards: [Shard]
  /// Most bytes that are written without being noted.
  private let interval: Int
  /// What was written and is not in the journal.
  private var pending: [WrittenSegment] = []
  private var pendingBytes = 0
  /// Hashes that are not in the journal.
  private var pendingHashes: [ContentLedger.Record] = []
  private var pendingStretches: [HashedStretch] = []
  /// The notes that are on their way to the disk.
  private var job: BackgroundJob?
  private var jobEnds: [(file: Int, end: Int)] = []
  private var last = ContinuousClock.now
  /// Whether something was lost on its way to the disk, so that nothing more can be vouched for.
  private var isBroken = false
  /// Up to which byte each file is on the disk and in the journal, as far as this run writes it.
  private var safe: [Int]
  /// Which shards of the source are deleted on the way; nil where none are.
  private let release: SourceRelease?
  /// Whether files of the source are deleted on the way.
  var releases: Bool { release != nil }
  /// Shards that this run has deleted.
  private var deleted: [Shard] = []

  private let share: Share

  /// Bytes of files that are on the disk and in the journal.
  var safeBytes: Int { zip(safe, share.bytes).reduce(0) { $0 + $1.0 - $1.1.lowerBound } }
  /// Number of shards that this run has deleted.
  var deletedCount: Int { deleted.count { $0.file.isGone } }
  /// A line about shards that stay though they should go; nil where there are none.
  var remainder: String? {
    guard let names = release?.remaining, let first = names.first else { return nil }
    return "\(names.count) source files stay, of which the output lacks a tensor: "
      + first.text + (names.count > 1 ? ", …" : "")
  }

  /// Slow work is noted at least so often.
  private static let patience = Duration.seconds(1)
  /// Bytes that a note takes in the journal, and some more.
  private static let lineBytes = 128
  /// Bytes that a hash takes there, and some more.
  private static let hashBytes = 96

  /// Goes on with a journal that has its first line.
  ///
  /// - Parameters:
  ///   - inventory: the source's files, which must stay as they are.
  ///   - release: which of them may be deleted when; nil where they stay.
  ///   - share: what of the files this run writes.
  ///   - kept: up to which byte of each file an earlier run has noted that.
  /// - Throws: `.cannotCreate` or `.inputOutput` where the journal cannot be written.
  init(
    _ work: WorkFolder, plan: Plan, _ share: Share, inventory: Inventory, release: SourceRelease?,
    interval: Int, kept: [Int]
  ) throws(Fault) {
    self.work = work
    self.share = share
    shards = inventory.shards
    self.interval = interval
    self.release = release
    safe = kept
    let notes = share.byteCount / interval + 2 * plan.layout.files.count + shards.count + 16
    let hashes = plan.recipe.writesManifest ? plan.tensors.count + inventory.tensors.count : 0
    try work.journal.reserve(notes * Self.lineBytes + hashes * Self.hashBytes)
  }

  /// Takes note of bytes that were written.
  func add(_ sum: CRC32C, to file: Int, at start: Int) {
    pendingBytes += sum.count
    if let last = pending.last, last.file == file, last.end == start {
      pending[pending.count - 1].sum.append(sum)
    } else {
      pending.append(WrittenSegment(file: file, start: start, sum: sum))
    }
  }

  /// Takes note of hashes that have become known.
  func add(_ hashes: [ContentLedger.Record], _ stretches: [HashedStretch]) {
    pendingHashes += hashes
    pendingStretches += stretches
  }

  /// Whether it is time for a note.
  var isDue: Bool {
    if pendingBytes >= interval { return true }
    return pendingBytes > 0 && job?.isDone != false && ContinuousClock.now - last >= Self.patience
  }

  /// Flushes the file that is being written and makes a note, both beside this thread.
  ///
  /// - Throws: what went wrong with the note before.
  func note(flushing file: OutputFile?) throws(Fault) {
    try wait()
    // Before a shard is deleted, the hashes of its tensors stand beside what was made from them.
    let lines =
      pending.map(\.line) + ContentLedger.Record.lines(pendingHashes) + pendingStretches.map(\.line)
    let flush = file?.flush
    // The folder and its journal belong to the job until `wait`.
    nonisolated(unsafe) let work = work
    let shards = shards
    var ends = safe
    for segment in pending { ends[segment.file] = segment.end }
    let due = release?.due(safe: ends) ?? []
    deleted += due
    job = BackgroundJob { () throws(Fault) in
      try flush?.run()
      try work.flushNames()
      // What came from a file that somebody is changing is not worth a note.
      for shard in shards { try shard.file.requireUnchanged() }
      try work.journal.append(lines)
      if due.isEmpty { return }
      try work.journal.append([ConversionRecords.deleting(due.map(\.name))])
      for shard in due { try shard.file.delete() }
    }
    jobEnds = pending.map { ($0.file, $0.end) }
    pending = []
    (pendingHashes, pendingStretches) = ([], [])
    pendingBytes = 0
    last = .now
  }

  /// Waits until the last note is on the disk.
  ///
  /// - Throws: what went wrong with it.
  func wait() throws(Fault) {
    guard let job else { return }
    self.job = nil
    do throws(Fault) { try job.wait() } catch {
      isBroken = true
      throw error
    }
    for (file, end) in jobEnds { safe[file] = end }
  }

  /// Flushes and closes a file.
  func finish(_ file: OutputFile) throws(Fault) {
    try wait()
    do throws(Fault) { try file.finish() } catch {
      isBroken = true
      throw error
    }
  }

  /// Notes all that was written where shards of the source wait for it, so that the last ones can
  /// be deleted.
  ///
  /// - Throws: what went wrong with the note.
  func releaseRest() throws(Fault) {
    guard release != nil else { return }
    try noteAll()
  }

  /// Notes all that was written and is not noted yet.
  ///
  /// - Throws: what went wrong with the note.
  func noteAll() throws(Fault) {
    try note(flushing: nil)
    try wait()
  }

  /// Notes what can be saved of the work, for a later run.
  ///
  /// - Parameter file: the file that was being written.
  func save(_ file: OutputFile?) {
    do throws(Fault) {
      try wait()
      guard !isBroken, file?.isSound ?? true, !pending.isEmpty else { return }
      try note(flushing: file)
      try wait()
    } catch {
      // The notes that were made before hold all the same.
      isBroken = true
    }
  }
}
