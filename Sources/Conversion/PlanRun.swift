internal import Formats
public import Platform
internal import Tensors

/// How far a run has come.
public struct ConversionProgress: Sendable, Hashable {
  /// Bytes written so far.
  public let written: Int
  /// Bytes that will have been written.
  public let total: Int
}

/// What a run did.
public struct ConversionResult: Sendable, Hashable {
  /// The output folder.
  public let output: String
  /// Bytes of tensors and files read; scales are found in a second reading.
  public let bytesRead: Int
  /// Bytes of all files written.
  public let bytesWritten: Int
  /// Wall time in seconds, flushing included.
  public let seconds: Double
  /// What the plan warned of, and what happened on the way.
  public let warnings: [String]
}

extension Plan {
  /// Where the output's files go: into a folder of their own, or beside each other.
  private func place(at destination: OutputPath) throws(Fault) -> any OutputSet {
    output.isFolder
      ? try OutputFolder(at: destination)
      : try OutputFiles(at: destination, names: layout.files.map(\.name))
  }

  /// Carries the plan out.
  ///
  /// - Parameter report: called after each piece that was written.
  /// - Throws: `.cannotCreate` where the place is taken or full, `.inputOutput` where reading or
  ///   writing fails, `.malformed` where the source changed meanwhile, `.interrupted`. Nothing is
  ///   left behind then: the output is complete or absent.
  public func run(
    from source: SourceModel, to destination: OutputPath,
    report: (ConversionProgress) -> Void = { _ in }
  ) throws(Fault) -> ConversionResult {
    let start = ContinuousClock.now
    try destination.requireSpace(byteCount)
    let folder = try place(at: destination)
    var writer = PlanWriter(plan: self, source: source, folder: folder)
    let leftover: String?
    do throws(Fault) {
      try writer.writeWeights(report: report)
      try writer.writeRest()
      for shard in source.checkpoint.inventory.shards { try shard.file.requireUnchanged() }
      try Interruption.check()
      leftover = try folder.commit()
    } catch {
      folder.discard()
      throw error
    }
    let elapsed = (ContinuousClock.now - start).components
    return ConversionResult(
      output: destination.path, bytesRead: writer.bytesRead, bytesWritten: writer.written,
      seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18,
      warnings: warnings
        + (leftover.map { ["the folder that was replaced could not be removed: \($0)"] } ?? []))
  }
}

/// Writes the files of a plan, one after the other.
private struct PlanWriter {
  let plan: Plan
  let source: SourceModel
  let folder: any OutputSet
  private(set) var written = 0
  private(set) var bytesRead = 0

  init(plan: Plan, source: SourceModel, folder: any OutputSet) {
    self.plan = plan
    self.source = source
    self.folder = folder
  }

  /// Writes the shards through the pipeline.
  mutating func writeWeights(report: (ConversionProgress) -> Void) throws(Fault) {
    let producer = TileProducer(plan, inventory: source.checkpoint.inventory)
    let tiles = TileQueue(plan)
    var cache = SourceCache(plan, inventory: source.checkpoint.inventory)
    var files = plan.layout.files[...]
    var current: OutputFile?
    var next = 0
    // A file without tiles (no tensors, or empty ones) is opened on the way to the next one.
    func open(upTo limit: Int) throws(Fault) {
      while next < limit, let file = files.popFirst() {
        try close()
        current = try folder.create(file.name)
        try append(file.header)
        next += 1
      }
    }
    func close() throws(Fault) {
      guard next > 0 else { return }
      try pad(to: plan.layout.files[next - 1].byteCount)
      try current?.finish()
    }
    func append(_ bytes: [UInt8]) throws(Fault) {
      try current?.append(bytes)
      written += bytes.count
    }
    // Formats that align their tensors have zeros before them.
    func pad(to offset: Int) throws(Fault) {
      guard let count = current?.count, count < offset else { return }
      try append([UInt8](repeating: 0, count: offset - count))
    }
    try OrderedPipeline.run(
      threads: plan.buffers.threads, count: tiles.count, slots: plan.buffers.slots,
      slotBytes: plan.buffers.tileBytes,
      produce: { worker, item, slot throws(Fault) in
        try producer.produce(tiles[item], worker: worker, into: slot)
      },
      consume: { item, bytes throws(Fault) in
        try Interruption.check()
        let tile = tiles[item]
        try open(upTo: tile.file + 1)
        if let start = tile.start { try pad(to: start) }
        try current?.append(bytes)
        written += bytes.count
        cache.pass(tile.tensor)
        report(ConversionProgress(written: written, total: plan.byteCount))
      })
    try open(upTo: plan.layout.files.count)
    try close()
    bytesRead += producer.bytesRead
  }

  /// Writes index, config and side files.
  mutating func writeRest() throws(Fault) {
    for document in plan.output.documents { try write(document.bytes, to: document.name) }
    for side in plan.output.sideFiles { try copy(side) }
  }

  private mutating func write(_ bytes: [UInt8], to name: String) throws(Fault) {
    let file = try folder.create(name)
    try file.append(bytes)
    try file.finish()
    written += bytes.count
  }

  private mutating func copy(_ side: SideFile) throws(Fault) {
    let input = try InputFile(path: side.path)
    let output = try folder.create(side.name)
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

/// Lets go of what the system caches of the source, where the source is too large to stay there.
private struct SourceCache {
  private let plan: Plan
  private let inventory: Inventory
  private let isActive: Bool
  private var last: Int?

  init(_ plan: Plan, inventory: Inventory) {
    self.plan = plan
    self.inventory = inventory
    let bytes = inventory.tensors.reduce(0) { $0 + $1.byteCount }
    isActive = bytes > Workers.physicalMemory / 2
  }

  /// Notes that a tile of `tensor` was written; what the one before it was made from is let go,
  /// unless this one, the scales of it perhaps, is made from the same.
  mutating func pass(_ tensor: Int) {
    guard isActive, last != tensor else { return }
    if let last, plan.tensors[last].source != plan.tensors[tensor].source {
      for source in plan.tensors[last].sources {
        inventory.shards[source.shard].file.dropCache(
          at: source.offset, count: source.byteCount)
      }
    }
    last = tensor
  }
}
