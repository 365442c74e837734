internal import Formats
internal import Platform
internal import Tensors

/// Writes the files of a plan, one after the other.
struct PlanWriter {
  private let plan: Plan
  private let source: SourceModel
  private let work: WorkFolder
  private let log: ConversionLog
  /// Bytes of each file that an earlier run has written.
  private let kept: [Int]
  /// The file that is being written and its number.
  private(set) var current: OutputFile?
  private var number = -1
  /// Bytes written by this run.
  private(set) var written = 0
  /// Bytes read from the source by this run.
  private(set) var bytesRead = 0

  init(_ plan: Plan, source: SourceModel, work: WorkFolder, log: ConversionLog, kept: [Int]) {
    self.plan = plan
    self.source = source
    self.work = work
    self.log = log
    self.kept = kept
  }

  private var files: [OutputLayout.File] { plan.layout.files }

  /// Writes the shards through the pipeline.
  mutating func writeWeights(report: (ConversionProgress) -> Void) throws(Fault) {
    let producer = TileProducer(plan, inventory: source.checkpoint.inventory)
    let tiles = TileQueue(plan)
    var cache = SourceCache(plan, inventory: source.checkpoint.inventory)
    var items: [Int] = []
    for (file, kept) in kept.enumerated() where kept < files[file].byteCount {
      items += tiles.items(ofFile: file, from: kept)
    }
    let todo = items
    let total = plan.byteCount - kept.reduce(0, +)
    let tileBytes = plan.buffers.tileBytes
    defer { bytesRead += producer.bytesRead }
    try OrderedPipeline.run(
      threads: plan.buffers.threads, count: todo.count, slots: plan.buffers.slots,
      slotBytes: tileBytes + PlanWriter.sumBytes,
      produce: { worker, item, slot throws(Fault) in
        let tile = UnsafeMutableRawBufferPointer(rebasing: slot[..<tileBytes])
        let count = try producer.produce(tiles[todo[item]], worker: worker, into: tile)
        // Summed here, where it is in the cache and this thread would wait for the disk otherwise.
        let sum = CRC32C(UnsafeRawBufferPointer(rebasing: tile[..<count]))
        slot.storeBytes(of: sum.value, toByteOffset: count, as: UInt32.self)
        return count + PlanWriter.sumBytes
      },
      consume: { item, bytes throws(Fault) in
        try Interruption.check()
        let tile = tiles[todo[item]]
        try open(upTo: tile.file)
        try pad(to: tile.position)
        try append(bytes, at: tile.position)
        cache.pass(tile.tensor)
        report(ConversionProgress(written: written, total: total))
      })
    try open(upTo: files.count)
  }

  /// Bytes of the checksum behind each tile.
  private static let sumBytes = 4

  /// Closes the file at hand and opens those up to number `file`; one without tiles is opened on
  /// the way to the next.
  private mutating func open(upTo file: Int) throws(Fault) {
    while number < file {
      if let current {
        try pad(to: files[number].byteCount)
        try log.finish(current)
        self.current = nil
      }
      number += 1
      guard number < files.count, kept[number] < files[number].byteCount else { continue }
      let (name, start) = (files[number].name, kept[number])
      current = start > 0 ? try work.reopen(name, after: start) : try work.create(name)
      if start < files[number].header.count {
        try append(Array(files[number].header[start...]))
      }
    }
  }

  /// Formats that align their tensors have zeros before them.
  private mutating func pad(to offset: Int) throws(Fault) {
    guard let count = current?.count, count < offset else { return }
    try append([UInt8](repeating: 0, count: offset - count))
  }

  private mutating func append(_ bytes: [UInt8]) throws(Fault) {
    var fault: Fault?
    bytes.withUnsafeBytes { raw in
      do throws(Fault) { try append(raw, sum: CRC32C(raw)) } catch { fault = error }
    }
    if let fault { throw fault }
  }

  /// Writes a tile with its checksum behind it, less what an earlier run has written of it.
  private mutating func append(
    _ tile: UnsafeRawBufferPointer, at position: Int
  ) throws(Fault) {
    guard let current else { preconditionFailure("a tile without a file") }
    let count = tile.count - PlanWriter.sumBytes
    let rest = UnsafeRawBufferPointer(rebasing: tile[min(count, current.count - position)..<count])
    let sum = CRC32C(
      value: tile.loadUnaligned(fromByteOffset: count, as: UInt32.self), count: count)
    try append(rest, sum: rest.count == count ? sum : CRC32C(rest))
    if log.isDue { try log.note(flushing: current) }
  }

  private mutating func append(_ bytes: UnsafeRawBufferPointer, sum: CRC32C) throws(Fault) {
    guard let current else { preconditionFailure("bytes without a file") }
    let start = current.count
    defer { written += current.count - start }
    do throws(Fault) { try current.append(bytes) } catch {
      // A disk that fills up takes a part.
      let part = UnsafeRawBufferPointer(rebasing: bytes[..<(current.count - start)])
      if !part.isEmpty { log.add(CRC32C(part), to: number, at: start) }
      throw error
    }
    if !bytes.isEmpty { log.add(sum, to: number, at: start) }
  }

  /// Writes index, config and side files.
  mutating func writeRest() throws(Fault) {
    for document in plan.output.documents { try write(document.bytes, to: document.name) }
    for side in plan.output.sideFiles { try copy(side) }
  }

  private mutating func write(_ bytes: [UInt8], to name: String) throws(Fault) {
    let file = try work.create(name)
    try file.append(bytes)
    try file.finish()
    written += bytes.count
  }

  private mutating func copy(_ side: SideFile) throws(Fault) {
    let input = try InputFile(path: side.path)
    let output = try work.create(side.name)
    let piece = ByteBuffer(count: max(1, min(plan.buffers.tileBytes, side.byteCount)))
    for start in stride(from: 0, to: side.byteCount, by: piece.count) {
      try Interruption.check()
      let count = min(piece.count, side.byteCount - start)
      let part = UnsafeMutableRawBufferPointer(rebasing: piece.bytes[..<count])
      try input.read(at: start, into: part)
      try output.append(UnsafeRawBufferPointer(part))
    }
    try input.requireUnchanged()
    guard input.size == side.byteCount else {
      throw Fault(
        .malformed, "changed while it was copied", file: side.path,
        expected: "\(side.byteCount) bytes", found: "\(input.size)")
    }
    try output.finish()
    written += side.byteCount
    bytesRead += side.byteCount
  }
}
