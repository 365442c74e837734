internal import Dialects
internal import Formats
internal import Locks
package import Platform
internal import Tensors
internal import Tiles

/// An output that stands under its name already, compared with what a plan would write.
struct FinishedOutput {
  let plan: Plan
  let source: SourceModel
  let destination: OutputPath

  /// Bytes that were compared and are the same; sizes of files count for nothing.
  private(set) var comparedBytes = 0

  init(plan: Plan, source: SourceModel, destination: OutputPath) {
    self.plan = plan
    self.source = source
    self.destination = destination
  }

  /// Tiles of weights that are made anew and compared, of a large output; another model of the same
  /// shape differs in nearly all of them.
  private static let samples = 64
  /// An output that is not larger is made anew as a whole: that takes a second.
  private static let smallOutput = 256 << 20

  /// Whether there is a file under each name.
  func isThere() throws(Fault) -> Bool {
    for file in plan.files where try Folder.kind(of: place(of: file.name)) != .file {
      return false
    }
    return true
  }

  /// Looks at sizes, headers, documents, side files and the weights, of which a sample must do where
  /// they are large. Of the manifest only the size is looked at.
  ///
  /// - Returns: the first difference; nil where there is none.
  /// - Throws: `.inputOutput` where something cannot be read, `.interrupted`.
  mutating func difference() throws(Fault) -> String? {
    var weights: [InputFile] = []
    for planned in plan.files {
      let file = try InputFile(path: place(of: planned.name))
      guard file.size == planned.byteCount else {
        return "\(planned.name) has \(file.size) bytes and not \(planned.byteCount)"
      }
      if planned.kind == .weights { weights.append(file) }
    }
    for (file, planned) in zip(weights, plan.layout.files) {
      guard try file.read(at: 0, count: planned.header.count) == planned.header else {
        return "\(planned.name) has another header"
      }
      comparedBytes += planned.header.count
      guard try comparePadding(of: planned, in: file) else {
        return "\(planned.name) differs between its tensors"
      }
    }
    if let name = try differentDocument() { return "\(name) differs" }
    return try differentTensor(in: weights).map { "\($0) differs" }
  }

  /// The hash of its manifest; nil where it has none.
  func manifestHash() throws(Fault) -> BLAKE3Value? {
    try plan.manifest.map { manifest throws(Fault) in
      try BLAKE3Stream.hash(of: InputFile(path: place(of: manifest.name)))
    }
  }

  private func place(of name: ExactText) -> String {
    let folder =
      plan.form.isFolder ? destination.path : Folder.parent(of: destination.path)
    return Folder.join(folder, name)
  }

  /// Whether zeros stand where no tensor is.
  private mutating func comparePadding(
    of planned: OutputLayout.File, in file: InputFile
  ) throws(Fault) -> Bool {
    var end = planned.header.count
    let tensors = zip(planned.offsets, planned.tensors.map { plan.tensors[$0].entry.byteCount })
    for (start, count) in tensors.sorted(by: { $0.0 < $1.0 }) + [(planned.byteCount, 0)] {
      if start > end {
        let bytes = try file.read(at: end, count: start - end)
        guard bytes.allSatisfy({ $0 == 0 }) else { return false }
        comparedBytes += bytes.count
      }
      end = start + count
    }
    return true
  }

  /// A small file whose contents are others.
  private mutating func differentDocument() throws(Fault) -> String? {
    for document in plan.output.documents {
      let bytes = try InputFile.contents(of: place(of: document.name), limit: document.bytes.count)
      guard bytes == document.bytes else { return document.name.text }
      comparedBytes += bytes.count
    }
    for side in plan.output.sideFiles {
      let (one, other) = (
        try InputFile(path: place(of: side.name)), try side.open()
      )
      guard try one.hasBytes(of: other) else { return side.name.text }
      comparedBytes += one.size
    }
    return nil
  }

  /// A tensor of the sample whose bytes are others.
  private mutating func differentTensor(in files: [InputFile]) throws(Fault) -> String? {
    let producer = TileProducer(
      plan.output, plan.buffers, inventory: source.checkpoint.inventory, seen: nil)
    let tiles = TileQueue(plan.output, plan.buffers)
    let isSmall = plan.byteCount <= FinishedOutput.smallOutput
    let count = isSmall ? tiles.count : min(FinishedOutput.samples, tiles.count)
    let found = Guarded<String?>(nil)
    let compared = Guarded(0)
    let (plan, inventory) = (plan, source.checkpoint.inventory)
    try Workers.run(threads: plan.buffers.threads, count: count) { worker, item throws(Fault) in
      // Evenly spread, the last one included.
      let tile = tiles[count == 1 ? 0 : item * (tiles.count - 1) / (count - 1)]
      let tensor = plan.tensors[tile.tensor]
      // What was deleted on the way cannot be made anew.
      if tensor.sources.contains(where: { inventory.shards[$0.shard].file.isStandIn }) { return }
      let slot = ByteBuffer(count: plan.buffers.tileBytes)
      let size = try producer.produce(tile, worker: worker, into: slot.bytes) { _ in }
      let written = try files[tile.file].read(at: tile.position, count: size)
      guard written.elementsEqual(slot.bytes[..<size]) else {
        return found.withLock { $0 = $0 ?? tensor.entry.name.text }
      }
      compared.withLock { $0 += size }
    }
    comparedBytes += compared.withLock { $0 }
    return found.withLock { $0 }
  }
}

extension InputFile {
  /// Whether another file has the same bytes.
  package func hasBytes(of other: InputFile) throws(Fault) -> Bool {
    guard size == other.size else { return false }
    for start in stride(from: 0, to: size, by: 1 << 20) {
      try Interruption.check()
      let count = min(1 << 20, size - start)
      guard try read(at: start, count: count) == other.read(at: start, count: count) else {
        return false
      }
    }
    return true
  }
}
