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
  /// The notes that are on their way to the disk.
  private var job: BackgroundJob?
  private var jobBytes = 0
  private var last = ContinuousClock.now
  /// Whether something was lost on its way to the disk, so that nothing more can be vouched for.
  private var isBroken = false
  /// Bytes of files that are on the disk and in the journal.
  private(set) var safeBytes: Int

  /// Slow work is noted at least so often.
  private static let patience = Duration.seconds(1)
  /// Bytes that a note takes in the journal, and some more.
  private static let lineBytes = 128

  /// Begins a journal, or goes on with one.
  ///
  /// - Parameters:
  ///   - shards: the source's files, which must stay as they are.
  ///   - kept: bytes that an earlier run has noted; nil where there was none.
  /// - Throws: `.cannotCreate` or `.inputOutput` where the journal cannot be written.
  init(
    _ work: WorkFolder, identity: ConversionIdentity, plan: Plan, shards: [Shard], interval: Int,
    kept: Int?
  ) throws(Fault) {
    self.work = work
    self.shards = shards
    self.interval = interval
    safeBytes = kept ?? 0
    let notes = plan.byteCount / interval + 2 * plan.layout.files.count + shards.count + 16
    work.journal.reserve(identity.line.utf8.count + notes * Self.lineBytes)
    // Nothing hangs on it before the first note, which flushes it too.
    if kept == nil { try work.journal.append([identity.line], isDurable: false) }
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
    let lines = pending.map(\.line)
    let flush = file?.flush
    // The folder and its journal belong to the job until `wait`.
    nonisolated(unsafe) let work = work
    let shards = shards
    job = BackgroundJob { () throws(Fault) in
      try flush?.run()
      try work.flushNames()
      // What came from a file that somebody is changing is not worth a note.
      for shard in shards { try shard.file.requireUnchanged() }
      try work.journal.append(lines)
    }
    jobBytes = pendingBytes
    pending = []
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
    safeBytes += jobBytes
  }

  /// Flushes and closes a file.
  func finish(_ file: OutputFile) throws(Fault) {
    try wait()
    do throws(Fault) { try file.finish() } catch {
      isBroken = true
      throw error
    }
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
