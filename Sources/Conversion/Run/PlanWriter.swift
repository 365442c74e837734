internal import Dialects
internal import Formats
internal import Platform
internal import Tensors
internal import Tiles
internal import Weights

/// Writes the files of a plan, one after the other.
struct PlanWriter {
  private let plan: Plan
  private let source: SourceModel
  private let work: WorkFolder
  private let log: ConversionLog
  /// What of the files is written.
  private let share: Share
  /// Up to which byte of each file an earlier run has written that.
  private let kept: [Int]
  /// Hashes of what passes by; nil where nobody asks for them.
  private(set) var ledger: ContentLedger?
  /// Whether an earlier run has begun to give files their names.
  private let isPlacing: Bool
  /// The file that is being written and its number.
  private(set) var current: OutputFile?
  private var number = -1
  /// Files whose tensors are there already, as they share the source's blocks.
  private var cloned: Set<Int> = []
  /// The hash of the manifest, once it is written; nil where there is none.
  private(set) var manifestHash: BLAKE3Value?
  /// Bytes written by this run.
  private(set) var written = 0
  /// Bytes read from the source by this run.
  private(set) var bytesRead = 0
  /// Weights of the source that hold nothing but zeros.
  private(set) var zeroWeights: [ExactText] = []
  /// Tensors of the output that hold NaN or infinity.
  private(set) var tensorsNotFinite: [ExactText] = []
  /// Tensors of the output that have codes where no reader looks for them.
  private(set) var tensorsWithMovedCodes: [ExactText] = []

  init(
    _ plan: Plan, _ share: Share, source: SourceModel, work: WorkFolder, log: ConversionLog,
    kept: [Int], ledger: ContentLedger?, isPlacing: Bool
  ) {
    self.share = share
    self.isPlacing = isPlacing
    self.plan = plan
    self.source = source
    self.work = work
    self.log = log
    self.kept = kept
    self.ledger = ledger
  }

  private var files: [OutputLayout.File] { plan.layout.files }

  /// Writes the shards through the pipeline.
  mutating func writeWeights(report: (ConversionProgress) -> Void) throws(Fault) {
    var inventory = source.checkpoint.inventory
    if share.isWhole {
      let clones = try ClonedShards(plan, inventory, kept: kept, in: work)
      (cloned, inventory) = (clones.files, clones.inventory)
    }
    let tiles = TileQueue(plan.output, plan.buffers)
    var cache = SourceCache(plan, inventory: inventory)
    // What is deleted or forgotten once tiles have read it must be hashed before.
    let areTilesFirst =
      ledger != nil && !log.releases && !inventory.shards.contains { $0.file.isDistant }
    let queue = WorkQueue(
      plan, share, tiles: tiles, inventory: inventory, kept: kept, ledger: ledger,
      isDelayed: areTilesFirst)
    queue.fetchAhead(plan, share, tiles)
    let seen =
      areTilesFirst
      ? SeenParts(inventory, isHashed: queue.isHashed, stretchBytes: queue.stretchBytes) : nil
    let producer = TileProducer(plan.output, plan.buffers, inventory: inventory, seen: seen)
    let hasher = StretchHasher(
      inventory: inventory, stretchBytes: queue.stretchBytes, scratch: producer.scratch,
      seen: seen)
    let (hashes, tensors) = (ledger != nil, plan.tensors)
    noteHashes()
    let total = zip(share.bytes, kept).reduce(0) { $0 + $1.0.upperBound - $1.1 }
    let tileBytes = plan.buffers.tileBytes
    defer {
      bytesRead += producer.bytesRead + hasher.bytesRead
      zeroWeights = producer.zeroWeights(of: source.weights)
      tensorsNotFinite = producer.tensorsNotFinite
      tensorsWithMovedCodes = producer.tensorsWithMovedCodes
    }
    try OrderedPipeline.run(
      threads: plan.buffers.threads, count: queue.items.count, slots: plan.buffers.slots,
      slotBytes: tileBytes + ProducedTile.overhead(of: tileBytes),
      produce: { worker, item, slot throws(Fault) in
        switch queue.items[item] {
        case .stretch(let tensor, let number):
          return try hasher.hash(
            tensor: Int(tensor), number: Int(number), worker: worker, into: slot)
        case .tile(let tile):
          let tile = tiles[tile]
          let bytes = UnsafeMutableRawBufferPointer(rebasing: slot[..<tileBytes])
          let digest = TileDigest(
            slot, capacity: tileBytes, from: tile.start, of: tensors[tile.tensor].entry.byteCount,
            hashes: hashes)
          return digest.finish(
            try producer.produce(tile, worker: worker, into: bytes, made: digest.take))
        }
      },
      consume: { item, bytes throws(Fault) in
        try Interruption.check()
        switch queue.items[item] {
        case .stretch(let tensor, _):
          ledger?.take(source: Int(tensor), parts: bytes)
          noteHashes()
        case .tile(let tile):
          let tile = tiles[tile]
          let produced = ProducedTile(bytes)
          try open(upTo: tile.file)
          try pad(to: tile.position)
          ledger?.take(
            output: tile.tensor, produced.bytes, at: tile.start, parts: produced.hashes)
          try append(produced, at: tile.position)
          cache.pass(tile.tensor)
          report(ConversionProgress(written: written, total: total))
        }
      })
    try open(upTo: files.count)
  }

  /// Closes the file at hand and opens those up to number `file`; one without tiles is opened on
  /// the way to the next.
  private mutating func open(upTo file: Int) throws(Fault) {
    while number < file {
      if let current {
        try pad(to: share.bytes[number].upperBound)
        try log.finish(current)
        self.current = nil
      }
      number += 1
      guard number < files.count, kept[number] < share.bytes[number].upperBound else { continue }
      let (name, start) = (files[number].name, kept[number])
      current =
        !share.isWhole || cloned.contains(number)
        ? try work.share(name, from: start)
        : start > 0 ? try work.reopen(name, after: start) : try work.create(name)
      let end = min(files[number].header.count, share.bytes[number].upperBound)
      if start < end { try append(Array(files[number].header[start..<end])) }
    }
  }

  /// Formats that align their tensors have zeros before them.
  private mutating func pad(to offset: Int) throws(Fault) {
    let offset = min(offset, share.bytes[number].upperBound)
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

  /// Writes a tile, less what an earlier run has written of it, or what other runs write.
  private mutating func append(_ tile: ProducedTile, at position: Int) throws(Fault) {
    guard let current else { preconditionFailure("a tile without a file") }
    let count = tile.bytes.count
    let first = max(0, min(count, current.count - position))
    let end = max(first, min(count, share.bytes[number].upperBound - position))
    let rest = UnsafeRawBufferPointer(rebasing: tile.bytes[first..<end])
    noteHashes()
    try append(
      rest, sum: rest.count == count ? tile.sum : CRC32C(rest),
      isThere: cloned.contains(number))
    if log.isDue { try log.note(flushing: current) }
  }

  /// Hands on what has become known of hashes, before what it was learnt from is called safe.
  private mutating func noteHashes() {
    if let news = ledger?.takeNews() { log.add(news.hashes, news.stretches) }
  }

  /// Writes bytes, or goes past them where they are there.
  private mutating func append(
    _ bytes: UnsafeRawBufferPointer, sum: CRC32C, isThere: Bool = false
  ) throws(Fault) {
    guard let current else { preconditionFailure("bytes without a file") }
    let start = current.count
    defer { written += current.count - start }
    do throws(Fault) {
      if isThere { try current.pass(bytes.count) } else { try current.append(bytes) }
    } catch {
      // A disk that fills up takes a part.
      let part = UnsafeRawBufferPointer(rebasing: bytes[..<(current.count - start)])
      if !part.isEmpty { log.add(CRC32C(part), to: number, at: start) }
      throw error
    }
    if !bytes.isEmpty { log.add(sum, to: number, at: start) }
  }

  /// Writes index, config, side files and the manifest.
  mutating func writeRest() throws(Fault) {
    var hashes: [ExactText: BLAKE3Value] = [:]
    for document in plan.output.documents {
      try write(document.bytes, to: document.name)
      if ledger != nil { hashes[document.name] = BLAKE3.hash(document.bytes) }
    }
    for side in plan.output.sideFiles { hashes[side.name] = try copy(side) }
    if let manifest = plan.manifest { try write(manifest, files: hashes) }
  }

  private mutating func write(_ bytes: [UInt8], to name: ExactText) throws(Fault) {
    let file = try work.create(name)
    try file.append(bytes)
    try file.finish()
    written += bytes.count
  }

  /// Writes the manifest; once files are given their names, it is there already.
  private mutating func write(
    _ manifest: PlannedManifest, files: [ExactText: BLAKE3Value]
  ) throws(Fault) {
    guard var ledger else { preconditionFailure("a manifest without hashes") }
    if isPlacing, let file = try placed(manifest.name) {
      manifestHash = try BLAKE3Stream.hash(of: file)
      return
    }
    ledger.finish()
    var hashes = ManifestText.Hashes(source: ledger.source, output: ledger.output, files: files)
    hashes.sourceManifest = try manifest.source.manifest.map { file throws(Fault) in
      let hash = try BLAKE3Stream.hash(of: file)
      try file.requireUnchanged()
      return hash
    }
    let importance = plan.recipe.target.own.importance
    hashes.importance = try importance.map { matrix throws(Fault) in try matrix.hash() }
    let file = try work.create(manifest.name)
    manifestHash = try plan.manifestText(source, manifest.source)
      .write(hashes, byteCount: manifest.byteCount, to: file)
    try file.finish()
    written += file.count
  }

  /// A file that an earlier run has written whole, in the work or under its name; nil for none.
  private func placed(_ name: ExactText) throws(Fault) -> InputFile? {
    if let file = try work.read(name) { return file }
    let path = work.finalPlace(of: name)
    return try Folder.kind(of: path) == .file ? InputFile(path: path) : nil
  }

  /// Copies a file and returns its hash.
  private mutating func copy(_ side: SideFile) throws(Fault) -> BLAKE3Value {
    let input = try side.open()
    let output = try work.create(side.name)
    let piece = ByteBuffer(count: max(1, min(plan.buffers.tileBytes, side.byteCount)))
    var stream = BLAKE3Stream(byteCount: side.byteCount)
    for start in stride(from: 0, to: side.byteCount, by: piece.count) {
      try Interruption.check()
      let count = min(piece.count, side.byteCount - start)
      let part = UnsafeMutableRawBufferPointer(rebasing: piece.bytes[..<count])
      try input.read(at: start, into: part)
      stream.append(UnsafeRawBufferPointer(part))
      try output.append(UnsafeRawBufferPointer(part))
    }
    try input.requireUnchanged()
    try output.finish()
    written += side.byteCount
    bytesRead += side.byteCount
    return stream.value()
  }
}
