internal import Codecs
package import Dialects
package import Formats
internal import Locks
package import Platform
internal import Synchronization
package import Tensors
package import Weights

/// Reads and converts tiles. Every tile is a function of the source alone: it may be produced on
/// any thread, in any order, and again.
package final class TileProducer: Sendable {
  let output: PlannedOutput
  let inventory: Inventory
  /// Memory of each worker.
  package let scratch: [ByteBuffer]
  let parts: KeptParts
  private let read = Atomic<Int>(0)
  /// Hashes what tiles are made of; nil where nobody asks.
  private let seen: SeenParts?
  /// Which tensors of the source turn out to be zero.
  private let zeros: ZeroWatch
  /// Which tensors of the output hold numbers that are not finite.
  private let notFinite = Guarded<Set<Int>>([])
  /// Which tensors of the output have codes where no reader looks for them.
  private let moved = Guarded<Set<Int>>([])
  /// What scales of weights are divided or multiplied by, as far as it is known.
  let globalScales = Guarded<[GlobalScaleKey: Float]>([:])

  /// Values that are quantized at a time: a part of the second-level cache of most processors.
  static let cacheBytes = 256 << 10
  /// Memory beside what is quantized that a window is a small part of.
  private static let windowedBytes = 8 * SourceWindow.byteCount

  /// Bytes read from the source so far.
  package var bytesRead: Int { read.load(ordering: .relaxed) }
  /// Weights of the source that were read wholly and hold nothing but zeros, and such scales.
  package func zeroWeights(of source: SourceWeights) -> [ExactText] { zeros.found(in: source) }

  /// Tensors of the output that were converted and hold NaN or infinity, as the source does.
  package var tensorsNotFinite: [ExactText] {
    names(notFinite)
  }

  /// Tensors of the output that have codes where no reader looks for them.
  package var tensorsWithMovedCodes: [ExactText] { names(moved) }

  private func names(_ found: borrowing Guarded<Set<Int>>) -> [ExactText] {
    found.withLock { $0.sorted() }.map { output.tensors[$0].entry.name }
  }

  /// Gets memory for the threads that the buffers are for.
  ///
  /// - Parameter seen: hashes what tiles are made of; nil where nobody asks.
  package init(
    _ output: PlannedOutput, _ buffers: BufferPlan, inventory: Inventory, seen: SeenParts?
  ) {
    self.output = output
    self.seen = seen
    self.inventory = inventory
    zeros = ZeroWatch(inventory)
    parts = KeptParts(output, capacity: buffers.keptBytes)
    scratch = (0..<buffers.threads).map { _ in ByteBuffer(count: buffers.tileBytes) }
  }

  /// Fills `slot` with a tile, using the scratch memory of `worker`.
  ///
  /// - Parameter made: called with the number of bytes that are final, from the first on, when there are
  ///   more of them; not for the last ones.
  /// - Returns: the number of bytes.
  /// - Throws: `.inputOutput` with file, tensor and offset where the source cannot be read.
  package func produce(
    _ tile: Tile, worker: Int, into slot: UnsafeMutableRawBufferPointer,
    made: @escaping (Int) -> Void
  ) throws(Fault) -> Int {
    try Interruption.check()
    // Workers are threads of any history: a library that flushes denormals would change bytes.
    FloatState.reset()
    let tensor = output.tensors[tile.tensor]
    switch tensor.operation {
    case .copy:
      return try copy(tensor, tile, slot, made)
    case .convert: return try convert(tensor, tile, worker, slot, made)
    case .change(let change):
      return try convert(tensor, tile, worker, slot, made, change: change)
    case .quantize(let quantization, let part):
      return try quantize(tensor, quantization, part, tile, worker, slot, made)
    case .unpack(let part): return try unpack(tensor, part, tile, worker, slot)
    case .constant(let bytes):
      slot.copyBytes(from: bytes[tile.columns])
      return tile.columns.count
    }
  }

  private func copy(
    _ tensor: PlannedTensor, _ tile: Tile, _ slot: UnsafeMutableRawBufferPointer,
    _ made: (Int) -> Void
  ) throws(Fault) -> Int {
    let count = tile.columns.count
    // Whole blocks, so that each piece can be looked at by itself.
    let unit = max(1, tensor.entry.type.byteCount(elements: tensor.entry.type.blockElements) ?? 1)
    let step = max(1, TileProducer.cacheBytes / unit) * unit
    for start in stride(from: 0, to: count, by: step) {
      let end = min(count, start + step)
      let piece = UnsafeMutableRawBufferPointer(rebasing: slot[start..<end])
      try fetch(tensor.source, from: tile.columns.lowerBound + start, into: piece)
      if output.refusesNonFinite {
        try check(tensor, piece, from: tile.columns.lowerBound + start)
      }
      made(end)
    }
    return count
  }

  /// Throws where an element of a copy is NaN or infinite.
  private func check(
    _ tensor: PlannedTensor, _ bytes: UnsafeMutableRawBufferPointer, from start: Int
  ) throws(Fault) {
    guard
      let element = AssemblyReader.codec(tensor.entry.type).firstNotFinite(
        UnsafeRawBufferPointer(bytes))
    else { return }
    throw Fault(
      .malformed, "is not finite", file: inventory.shards[tensor.source.shard].file.path,
      tensor: tensor.entry.name,
      offset: UInt64(
        tensor.source.place(ofByte: start + tensor.entry.type.byteOffset(of: element))),
      expected: "finite weights")
  }

  private func fetch(
    _ tensor: StoredTensor, from start: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    try inventory.read(tensor, from: start, into: buffer)
    read.wrappingAdd(buffer.count, ordering: .relaxed)
    zeros.look(at: UnsafeRawBufferPointer(buffer), of: tensor)
  }

  /// A window on what rows of a tensor are made of, at the end of a worker's memory; nil where nobody
  /// hashes that, or memory is short.
  func window(
    on tensor: PlannedTensor, _ rows: Range<Int>, _ columns: Range<Int>, _ worker: Int,
    after taken: Int
  ) -> SourceWindow? {
    let memory = scratch[worker].bytes
    guard let seen, memory.count - taken >= TileProducer.windowedBytes else { return nil }
    return SourceWindow(
      inventory, of: tensor.assembly, rows: rows, columns: columns,
      memory: UnsafeMutableRawBufferPointer(
        rebasing: memory[(memory.count - SourceWindow.byteCount)...]), seen: seen)
  }

  /// A reader that works in a worker's memory behind what is taken of it, and memory for values.
  func reader(
    of tensor: PlannedTensor, _ worker: Int, after taken: Int, window: SourceWindow? = nil
  ) -> (reader: AssemblyReader, values: UnsafeMutableBufferPointer<Float>) {
    let start = (taken + 63) / 64 * 64
    let all = scratch[worker].bytes
    let memory = UnsafeMutableRawBufferPointer(
      rebasing: all[..<(all.count - (window == nil ? 0 : SourceWindow.byteCount))])
    let size = tensor.areaBytes(scratchBytes: max(0, memory.count - start))
    func area(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
      UnsafeMutableRawBufferPointer(rebasing: memory[range])
    }
    let areas = (0...tensor.assembly.turns).map { index in
      area(start + index * size..<start + (index + 1) * size).bindMemory(to: Float.self)
    }
    var reader = AssemblyReader(
      inventory: inventory,
      scratch: area(min(memory.count, start + areas.count * size)..<memory.count),
      turned: Array(areas.dropFirst())
    ) { self.read.wrappingAdd($0, ordering: .relaxed) }
    reader.look = { self.zeros.look(at: $1, of: $0) }
    reader.window = window
    return (reader, areas[0])
  }

  // assembly (rows, columns) → slot (rows, columns)
  private func convert(
    _ tensor: PlannedTensor, _ tile: Tile, _ worker: Int, _ slot: UnsafeMutableRawBufferPointer,
    _ made: @escaping (Int) -> Void, change: Operation.Change? = nil
  ) throws(Fault) -> Int {
    let size = tensor.entry.type.byteOffset(of: tile.rows.count * tile.columns.count)
    let (reader, values) = reader(
      of: tensor, worker, after: 0,
      window: window(on: tensor, tile.rows, tile.columns, worker, after: 0))
    try AssemblyProducer(
      assembly: tensor.assembly, type: tensor.entry.type, name: tensor.entry.name, reader: reader,
      values: values, importance: tensor.importance, isChecked: output.refusesNonFinite,
      change: change, sawNotFinite: { self.notFinite.withLock { _ = $0.insert(tile.tensor) } },
      movedCodes: { self.moved.withLock { _ = $0.insert(tile.tensor) } }, made: made
    ).produce(
      rows: tile.rows, columns: tile.columns,
      into: UnsafeMutableRawBufferPointer(rebasing: slot[..<size]))
    return size
  }

  // assembly of ggml's blocks (rows, columns) → slot, the part's rows for those
  private func unpack(
    _ tensor: PlannedTensor, _ part: Operation.Part, _ tile: Tile, _ worker: Int,
    _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    guard let blocks = FP4Blocks.table.first(where: { $0.type == tensor.source.type }) else {
      preconditionFailure("the plan unpacks FP4 alone")
    }
    let rowBytes = tensor.entry.type.byteOffset(
      of: part == .codes ? tile.columns.count : tile.columns.count / blocks.group)
    let (reader, _) = reader(of: tensor, worker, after: 0)
    try AssemblyReader.forEachPiece(
      of: tensor.assembly, rows: tile.rows, columns: tile.columns
    ) { piece throws(Fault) in
      guard let stored = piece.weight.single?.tensor else { preconditionFailure("rows are kept") }
      for (index, row) in piece.rows.enumerated() {
        let source = try reader.fetch(
          stored,
          MatrixTile(rows: row..<row + 1, columns: piece.columns, width: piece.weight.columns))
        let start = (piece.targetRows.lowerBound + index) * rowBytes
        let target = UnsafeMutableRawBufferPointer(rebasing: slot[start..<start + rowBytes])
        guard part == .scales else {
          blocks.unpackCodes(source, into: target)
          continue
        }
        blocks.unpackScales(source, into: target)
        if blocks.firstUncarried(UnsafeRawBufferPointer(target)) != nil {
          throw reader.uncarried(stored, at: stored.type.byteOffset(of: row * piece.weight.columns))
        }
      }
    }
    return tile.rows.count * rowBytes
  }
}
