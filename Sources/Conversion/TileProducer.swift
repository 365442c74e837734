internal import Codecs
internal import Formats
internal import Platform
internal import Synchronization
internal import Tensors

/// Reads and converts tiles. Every tile is a function of the source alone: it may be produced on
/// any thread, in any order, and again.
final class TileProducer: Sendable {
  private let plan: Plan
  private let inventory: Inventory
  private let scratch: [ByteBuffer]
  private let read = Atomic<Int>(0)

  /// Bytes read from the source so far.
  var bytesRead: Int { read.load(ordering: .relaxed) }

  init(_ plan: Plan, inventory: Inventory) {
    self.plan = plan
    self.inventory = inventory
    scratch = (0..<plan.buffers.threads).map { _ in ByteBuffer(count: plan.buffers.tileBytes) }
  }

  /// Fills `slot` with a tile, using the scratch memory of `worker`.
  ///
  /// - Returns: the number of bytes.
  /// - Throws: `.inputOutput` with file, tensor and offset where the source cannot be read.
  func produce(
    _ tile: Tile, worker: Int, into slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    try Interruption.check()
    // Workers are threads of any history: a library that flushes denormals would change bytes.
    FloatState.reset()
    let tensor = plan.tensors[tile.tensor]
    switch tensor.operation {
    case .copy:
      let part = UnsafeMutableRawBufferPointer(rebasing: slot[..<tile.columns.count])
      try fetch(tensor.source, from: tile.columns.lowerBound, into: part)
      if plan.output.refusesNonFinite { try check(tensor, part, from: tile.columns.lowerBound) }
      return part.count
    case .convert: return try convert(tensor, tile, worker, slot)
    case .quantize(let block, let powerOfTwo):
      return try quantize(tensor, block, powerOfTwo, tile, worker, slot)
    case .scales(let block, let powerOfTwo):
      return try scales(tensor, block, powerOfTwo, tile, worker, slot)
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
      offset: UInt64(tensor.source.offset + start + tensor.entry.type.byteOffset(of: element)),
      expected: "finite weights")
  }

  private func fetch(
    _ tensor: StoredTensor, from start: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    try inventory.read(tensor, from: start, into: buffer)
    read.wrappingAdd(buffer.count, ordering: .relaxed)
  }

  /// A reader that works in a worker's memory, and the memory that is left for values.
  private func reader(
    of tensor: PlannedTensor, _ worker: Int, valueBytes: Int
  ) -> (reader: AssemblyReader, values: UnsafeMutableBufferPointer<Float>) {
    let memory = scratch[worker].bytes
    func area(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
      UnsafeMutableRawBufferPointer(rebasing: memory[range])
    }
    let chunk = tensor.areaBytes(scratchBytes: memory.count)
    let turned = (0..<tensor.assembly.turns).map { index in
      area(valueBytes + index * chunk..<valueBytes + (index + 1) * chunk).bindMemory(to: Float.self)
    }
    let reader = AssemblyReader(
      inventory: inventory, scratch: area(valueBytes + turned.count * chunk..<memory.count),
      turned: turned
    ) { self.read.wrappingAdd($0, ordering: .relaxed) }
    return (reader, area(0..<valueBytes).bindMemory(to: Float.self))
  }

  /// Rows of what a tensor is made from: in the type that they are stored in where that is plain
  /// numbers, else in F32.
  private func source(
    of tensor: PlannedTensor, rows: Range<Int>, _ worker: Int
  ) throws(Fault) -> (bytes: UnsafeRawBufferPointer, type: ElementType) {
    let columns = tensor.assembly.columns
    if let type = tensor.plainType {
      let width = type.bits / 8
      let part = UnsafeMutableRawBufferPointer(
        rebasing: scratch[worker].bytes[..<(rows.count * columns * width)])
      try fetch(tensor.source, from: rows.lowerBound * columns * width, into: part)
      return (UnsafeRawBufferPointer(part), type)
    }
    let (reader, values) = reader(
      of: tensor, worker, valueBytes: rows.count * columns * MemoryLayout<Float>.size)
    guard let start = values.baseAddress else { return (UnsafeRawBufferPointer(values), .f32) }
    try reader.decode(
      tensor.assembly, rows: rows, columns: 0..<columns,
      into: MutableFloatMatrix(start, rows: rows.count, columns: columns))
    return (UnsafeRawBufferPointer(values), .f32)
  }

  // assembly (rows, columns) → slot (rows, columns)
  private func convert(
    _ tensor: PlannedTensor, _ tile: Tile, _ worker: Int, _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    let size = tensor.entry.type.byteOffset(of: tile.rows.count * tile.columns.count)
    let (reader, values) = reader(
      of: tensor, worker, valueBytes: tensor.areaBytes(scratchBytes: scratch[worker].count))
    try AssemblyProducer(
      assembly: tensor.assembly, entry: tensor.entry, reader: reader, values: values,
      importance: tensor.importance, isChecked: plan.output.refusesNonFinite
    ).produce(
      rows: tile.rows, columns: tile.columns,
      into: UnsafeMutableRawBufferPointer(rebasing: slot[..<size]))
    return size
  }

  // source (rows, columns) → slot FP8 (rows, columns)
  private func quantize(
    _ tensor: PlannedTensor, _ block: BlockSize, _ powerOfTwo: Bool, _ tile: Tile, _ worker: Int,
    _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    let columns = tile.columns.count
    let count = tile.rows.count * columns
    let (source, type) = try source(of: tensor, rows: tile.rows, worker)
    let quantizer = BlockQuantizer(block, powerOfTwo: powerOfTwo)
    let grid = quantizer.gridRows(rows: tile.rows.count) * quantizer.gridColumns(columns: columns)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: grid) { scales in
      quantizer.findScales(
        source, type: type, rows: tile.rows.count, columns: columns, into: scales)
      quantizer.encode(
        source, type: type, rows: tile.rows.count, columns: columns,
        scales: UnsafeBufferPointer(scales),
        into: UnsafeMutableRawBufferPointer(rebasing: slot[..<count]))
    }
    return count
  }

  // source (rows, columns) → slot F32 (⌈rows / block⌉, ⌈columns / block⌉)
  private func scales(
    _ tensor: PlannedTensor, _ block: BlockSize, _ powerOfTwo: Bool, _ tile: Tile, _ worker: Int,
    _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    let (height, columns) = (tensor.assembly.rows, tensor.assembly.columns)
    let quantizer = BlockQuantizer(block, powerOfTwo: powerOfTwo)
    let count = tile.rows.count * tile.columns.count
    let results = slot.bindMemory(to: Float.self)
    for band in tile.rows {
      let first = band * block.rows
      let rows = min(block.rows, height - first)
      let (source, type) = try source(of: tensor, rows: first..<first + rows, worker)
      let start = (band - tile.rows.lowerBound) * tile.columns.count
      let row = UnsafeMutableBufferPointer(
        rebasing: results[start..<start + tile.columns.count])
      quantizer.findScales(
        source, type: type, rows: rows, columns: columns, into: row)
      guard row.allSatisfy(\.isFinite) else {
        throw Fault(
          .malformed, "holds NaN or infinity, which FP8 blocks cannot scale",
          file: inventory.shards[tensor.source.shard].file.path, tensor: tensor.source.name,
          expected: "finite weights in rows \(first) to \(first + rows - 1)")
      }
    }
    return count * MemoryLayout<Float>.size
  }

}

extension BlockQuantizer {
  /// The quantizer that an operation describes.
  fileprivate init(_ block: BlockSize, powerOfTwo: Bool) {
    self.init(
      blockRows: block.rows, blockColumns: block.columns,
      scaleFormat: powerOfTwo ? .powerOfTwo : .f32)
  }
}
