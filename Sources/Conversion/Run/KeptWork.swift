internal import Formats
internal import Platform
internal import Tiles

/// What an earlier run has written, read back and compared with its journal.
struct KeptWork {
  /// Up to which byte of each file of the layout all is as the journal says, from where this run's
  /// share of it begins.
  private(set) var bytes: [Int]
  private let share: Share
  /// Lines about what is not.
  private(set) var warnings: [String] = []

  /// Bytes of all files.
  var byteCount: Int {
    zip(bytes, share.bytes).reduce(0) { $0 + $1.0 - $1.1.lowerBound }
  }

  /// Nothing.
  init(_ share: Share) {
    self.share = share
    bytes = share.bytes.map(\.lowerBound)
  }

  /// Checks sizes and checksums on several threads.
  ///
  /// - Parameter report: called after each piece.
  /// - Throws: `.inputOutput` where what was kept cannot be read, `.interrupted`.
  init(
    _ plan: Plan, _ share: Share, records: ConversionRecords, work: WorkFolder,
    report: (ConversionProgress) -> Void
  ) throws(Fault) {
    self.init(share)
    var segments: [(segment: WrittenSegment, file: InputFile)] = []
    for (number, file) in plan.layout.files.enumerated() {
      guard let known = records.segments[number] else { continue }
      let input = try KeptWork.find(file, work: work, isPlacing: records.isPlacing)
      guard let input else {
        warnings.append("\(file.name) is gone from \(work.path) and is written anew")
        continue
      }
      segments += known.filter { $0.end <= file.byteCount }.map { ($0, input) }
    }
    let broken = try KeptWork.broken(segments, plan: plan, report: report)
    for (index, (segment, file)) in segments.enumerated() {
      // One that follows a broken one does not count: a file is kept from its start on.
      guard bytes[segment.file] == segment.start else { continue }
      if broken.contains(index) {
        warnings.append(
          "\(file.path) is damaged after byte \(segment.start) and is written anew from there")
      } else {
        bytes[segment.file] = segment.end
      }
    }
    if records.isPlacing { try countFinished(plan, work: work) }
  }

  /// Leaves out the last stretch of a file that a line of the journal speaks of.
  mutating func leaveOutLast(of file: Int, _ records: ConversionRecords) {
    guard let last = records.segments[file]?.last else { return }
    bytes[file] = min(bytes[file], last.start)
  }

  /// Says what was found of the journal, where that was damaged.
  mutating func warn(of journal: Journal) {
    for gap in journal.text.gaps {
      warnings.append(
        "\(journal.path) is damaged at byte \(gap.offset) in both copies: what \(gap.count) bytes "
          + "said is not known, and is found out or done anew")
    }
    if journal.wasDamaged, journal.text.gaps.isEmpty {
      warnings.append("\(journal.path) or its copy was damaged and is repaired from the other")
    }
  }

  /// A file where it grew, or under its final name where it may have that already.
  static func find(
    _ file: OutputLayout.File, work: WorkFolder, isPlacing: Bool
  ) throws(Fault) -> InputFile? {
    if let input = try work.read(file.name) { return input }
    let place = work.finalPlace(of: file.name)
    guard isPlacing, try Folder.kind(of: place) == .file else { return nil }
    return try InputFile(path: place)
  }

  /// Indices of the segments that are not as the journal says.
  private static func broken(
    _ segments: [(segment: WrittenSegment, file: InputFile)], plan: Plan,
    report: (ConversionProgress) -> Void
  ) throws(Fault) -> Set<Int> {
    var broken: Set<Int> = []
    var pieces: [(index: Int, start: Int, count: Int)] = []
    let pieceBytes = plan.buffers.tileBytes
    for (index, (segment, file)) in segments.enumerated() {
      guard file.size >= segment.end else {
        broken.insert(index)
        continue
      }
      for start in stride(from: segment.start, to: segment.end, by: pieceBytes) {
        pieces.append((index, start, min(pieceBytes, segment.end - start)))
      }
    }
    let todo = pieces
    let total = todo.reduce(0) { $0 + $1.count }
    var sum = CRC32C()
    var done = 0
    try OrderedPipeline.run(
      threads: plan.buffers.threads, count: todo.count, slots: plan.buffers.slots,
      slotBytes: pieceBytes,
      produce: { _, item, slot throws(Fault) in
        let (index, start, count) = todo[item]
        let part = UnsafeMutableRawBufferPointer(rebasing: slot[..<count])
        try segments[index].file.read(at: start, into: part)
        segments[index].file.dropCache(at: start, count: count)
        return count
      },
      consume: { item, bytes throws(Fault) in
        try Interruption.check()
        let (index, start, _) = todo[item]
        let segment = segments[index].segment
        if start == segment.start { sum = CRC32C() }
        sum.append(CRC32C(bytes))
        if sum.count == segment.sum.count, sum != segment.sum { broken.insert(index) }
        done += bytes.count
        report(ConversionProgress(step: .checking, written: done, total: total))
      })
    return broken
  }

  /// Once files are given their names, all of them are complete, noted or not.
  private mutating func countFinished(_ plan: Plan, work: WorkFolder) throws(Fault) {
    for (number, file) in plan.layout.files.enumerated() where bytes[number] < file.byteCount {
      guard let input = try KeptWork.find(file, work: work, isPlacing: true),
        input.size == file.byteCount,
        try input.read(at: 0, count: file.header.count) == file.header
      else { continue }
      bytes[number] = file.byteCount
    }
  }
}
