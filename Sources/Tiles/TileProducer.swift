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
  private let output: PlannedOutput
  private let inventory: Inventory
  /// Memory of each worker.
  package let scratch: [ByteBuffer]
  private let parts: KeptParts
  private let read = Atomic<Int>(0)
  /// Which tensors of the source turn out to be zero.
  private let zeros: ZeroWatch
  /// Which tensors of the output hold numbers that are not finite.
  private let notFinite = Guarded<Set<Int>>([])
  /// Which tensors of the output have codes where no reader looks for them.
  private let moved = Guarded<Set<Int>>([])
  private let globalScales = Guarded<[GlobalScaleKey: Float]>([:])

  /// Values that are quantized at a time: a part of the second-level cache of most processors.
  private static let cacheBytes = 256 << 10

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
  package init(_ output: PlannedOutput, _ buffers: BufferPlan, inventory: Inventory) {
    self.output = output
    self.inventory = inventory
    zeros = ZeroWatch(inventory)
    parts = KeptParts(output, capacity: buffers.keptBytes)
    scratch = (0..<buffers.threads).map { _ in ByteBuffer(count: buffers.tileBytes) }
  }

  /// Fills `slot` with a tile, using the scratch memory of `worker`.
  ///
  /// - Returns: the number of bytes.
  /// - Throws: `.inputOutput` with file, tensor and offset where the source cannot be read.
  package func produce(
    _ tile: Tile, worker: Int, into slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    try Interruption.check()
    // Workers are threads of any history: a library that flushes denormals would change bytes.
    FloatState.reset()
    let tensor = output.tensors[tile.tensor]
    switch tensor.operation {
    case .copy:
      let part = UnsafeMutableRawBufferPointer(rebasing: slot[..<tile.columns.count])
      try fetch(tensor.source, from: tile.columns.lowerBound, into: part)
      if output.refusesNonFinite { try check(tensor, part, from: tile.columns.lowerBound) }
      return part.count
    case .convert: return try convert(tensor, tile, worker, slot)
    case .change(let change): return try convert(tensor, tile, worker, slot, change: change)
    case .quantize(let quantization, let part):
      return try quantize(tensor, quantization, part, tile, worker, slot)
    case .unpack(let part): return try unpack(tensor, part, tile, worker, slot)
    case .constant(let bytes):
      slot.copyBytes(from: bytes[tile.columns])
      return tile.columns.count
    }
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

  /// A reader that works in a worker's memory behind what is taken of it, and memory for values.
  private func reader(
    of tensor: PlannedTensor, _ worker: Int, after taken: Int
  ) -> (reader: AssemblyReader, values: UnsafeMutableBufferPointer<Float>) {
    let start = (taken + 63) / 64 * 64
    let memory = scratch[worker].bytes
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
    return (reader, areas[0])
  }

  // assembly (rows, columns) → slot (rows, columns)
  private func convert(
    _ tensor: PlannedTensor, _ tile: Tile, _ worker: Int, _ slot: UnsafeMutableRawBufferPointer,
    change: Operation.Change? = nil
  ) throws(Fault) -> Int {
    let size = tensor.entry.type.byteOffset(of: tile.rows.count * tile.columns.count)
    let (reader, values) = reader(of: tensor, worker, after: 0)
    try AssemblyProducer(
      assembly: tensor.assembly, type: tensor.entry.type, name: tensor.entry.name, reader: reader,
      values: values, importance: tensor.importance, isChecked: output.refusesNonFinite,
      change: change, sawNotFinite: { self.notFinite.withLock { _ = $0.insert(tile.tensor) } },
      movedCodes: { self.moved.withLock { _ = $0.insert(tile.tensor) } }
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

  // assembly (rows, columns) → slot, the part's rows for those
  private func quantize(
    _ tensor: PlannedTensor, _ quantization: Quantization, _ part: Operation.Part, _ tile: Tile,
    _ worker: Int, _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    let result = UnsafeMutableRawBufferPointer(
      rebasing: slot[..<tensor.byteCount(of: quantization, part, rows: tile.rows.count)])
    if part == .scales || part == .offsets,
      let kept = parts.take(
        tensor: tile.tensor, row: tile.rows.lowerBound, byteCount: result.count)
    {
      result.copyMemory(from: UnsafeRawBufferPointer(kept.bytes))
      return result.count
    }
    let globalScale = try globalScale(
      tensor, quantization, tensor.type(quantization), worker)
    guard part != .globalScale else {
      result.copyBytes(from: globalScale.littleEndianBytes)
      return result.count
    }
    var targets = [Target(tensor: tensor, part: part, bytes: result)]
    let kept =
      part == .codes
      ? parts.room(forRowsOf: tile.tensor) { companion in
        output.tensors[companion.tensor].byteCount(
          of: quantization, companion.part, rows: tile.rows.count)
      } : []
    targets += kept.map { companion, buffer in
      Target(
        tensor: output.tensors[companion.tensor], part: companion.part, bytes: buffer.bytes)
    }
    try quantize(
      tensor, quantization, tile.rows, globalScale: globalScale, worker, into: targets)
    for (companion, bytes) in kept {
      parts.keep(bytes, of: companion, row: tile.rows.lowerBound)
    }
    return result.count
  }

  /// Where a part of some rows goes.
  private struct Target {
    let tensor: PlannedTensor
    let part: Operation.Part
    let bytes: UnsafeMutableRawBufferPointer
  }

  // assembly (rows, columns) → parts, a few rows at a time, which stay in the cache meanwhile
  private func quantize(
    _ tensor: PlannedTensor, _ quantization: Quantization, _ rows: Range<Int>,
    globalScale: Float, _ worker: Int,
    into targets: [Target]
  ) throws(Fault) {
    let (type, columns) = (tensor.type(quantization), tensor.assembly.columns)
    let band = quantization.bandRows
    let bandBytes = max(1, type.byteOffset(of: band * columns))
    let rowsAtOnce = max(1, TileProducer.cacheBytes / bandBytes) * band
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsAtOnce) {
      let group = first..<min(rows.upperBound, first + rowsAtOnce)
      let size = type.byteOffset(of: group.count * columns)
      let source = UnsafeMutableRawBufferPointer(rebasing: scratch[worker].bytes[..<size])
      let (reader, values) = reader(of: tensor, worker, after: size)
      try AssemblyProducer(
        assembly: tensor.assembly, type: type, name: tensor.entry.name, reader: reader,
        values: values
      ).produce(rows: group, columns: 0..<columns, into: source)
      var output = GroupOutput()
      var scaleType = type
      for target in targets {
        let start = target.tensor.byteCount(
          of: quantization, target.part, rows: first - rows.lowerBound)
        let count = target.tensor.byteCount(of: quantization, target.part, rows: group.count)
        let bytes = UnsafeMutableRawBufferPointer(
          rebasing: target.bytes[start..<start + count])
        switch target.part {
        case .codes: output.codes = bytes
        case .scales: (output.scales, scaleType) = (bytes, target.tensor.entry.type)
        case .offsets: output.offsets = bytes
        case .globalScale: preconditionFailure("it is one for all rows")
        }
      }
      let obstacle = QuantizedRows(
        source: UnsafeRawBufferPointer(source), type: type, rows: group.count, columns: columns
      ).quantize(
        quantization, scaleType: scaleType, globalScale: globalScale, into: output)
      switch obstacle {
      case nil: continue
      case .notFinite: throw notFinite(tensor, rows: group)
      case .changed(let row):
        throw Fault(
          .malformed, "is not what FP8 with scales that are powers of two holds",
          file: inventory.shards[tensor.source.shard].file.path, tensor: tensor.entry.name,
          expected: "numbers that were FP8 before; --quant bf16 takes any",
          found: "another one in row \(group.lowerBound + row)")
      }
    }
  }

  private func notFinite(_ tensor: PlannedTensor, rows: Range<Int>) -> Fault {
    Fault(
      .malformed, "holds NaN or infinity, which cannot be scaled",
      file: inventory.shards[tensor.source.shard].file.path, tensor: tensor.source.name,
      expected: "finite weights in rows \(rows.lowerBound) to \(rows.upperBound - 1)")
  }

  /// What the scales of a tensor are divided or multiplied by: found by the first tile that asks for it, and the
  /// same whoever finds it.
  private func globalScale(
    _ tensor: PlannedTensor, _ quantization: Quantization, _ type: ElementType, _ worker: Int
  ) throws(Fault) -> Float {
    guard let first = quantization.joined.first?.first.tensor,
      case .groups(let scheme) = quantization.method
    else { return 1 }
    let key = GlobalScaleKey(shard: first.shard, offset: first.offset, type: type)
    if let known = globalScales.withLock({ $0[key] }) { return known }
    var largest: Float = 0
    for assembly in quantization.joined {
      largest = max(largest, try largestMagnitude(assembly, of: tensor, type, worker))
    }
    let scale = GroupQuantizer.globalScale(scheme, largest: largest, type: type)
    globalScales.withLock { $0[key] = scale }
    return scale
  }

  /// The largest magnitude of a weight, its values being rounded to a type.
  private func largestMagnitude(
    _ assembly: Assembly, of tensor: PlannedTensor, _ type: ElementType, _ worker: Int
  ) throws(Fault) -> Float {
    let memory = scratch[worker].bytes.count
    // Half of the memory for values in their type, half for those on the way to it.
    let most = max(1, memory / 2 / (type.bits / 8) / max(1, assembly.columns))
    var largest: Float = 0
    for first in stride(from: 0, to: assembly.rows, by: most) {
      let rows = first..<min(assembly.rows, first + most)
      let size = type.byteOffset(of: rows.count * assembly.columns)
      let source = UnsafeMutableRawBufferPointer(rebasing: scratch[worker].bytes[..<size])
      let (reader, values) = reader(of: tensor, worker, after: size)
      try AssemblyProducer(
        assembly: assembly, type: type, name: tensor.entry.name, reader: reader, values: values
      ).produce(rows: rows, columns: 0..<assembly.columns, into: source)
      let magnitude = AssemblyReader.codec(type).largestMagnitude(UnsafeRawBufferPointer(source))
      guard magnitude.isFinite else { throw notFinite(tensor, rows: rows) }
      largest = max(largest, magnitude)
    }
    return largest
  }
}

/// Which weights share a global scale.
private struct GlobalScaleKey: Hashable {
  let shard: Int
  let offset: Int
  let type: ElementType
}
