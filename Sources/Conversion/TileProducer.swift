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
      if plan.recipe.isGGUF { try check(tensor, part, from: tile.columns.lowerBound) }
      return part.count
    case .cast: return try cast(tensor, tile, worker, slot)
    case .dequantize(let block): return try dequantize(tensor, block, tile, worker, slot)
    case .quantize(let block, let powerOfTwo):
      return try quantize(tensor, block, powerOfTwo, tile, worker, slot)
    case .scales(let block, let powerOfTwo):
      return try scales(tensor, block, powerOfTwo, tile, worker, slot)
    case .assemble(let assembly): return try assemble(tensor, assembly, tile, worker, slot)
    }
  }

  /// Throws where an element of a copy is NaN or infinite.
  private func check(
    _ tensor: PlannedTensor, _ bytes: UnsafeMutableRawBufferPointer, from start: Int
  ) throws(Fault) {
    guard let element = codec(tensor.entry.type).firstNotFinite(UnsafeRawBufferPointer(bytes))
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

  /// Reads elements `range` of a tensor into a worker's scratch memory.
  private func elements(
    _ range: Range<Int>, of tensor: StoredTensor, _ worker: Int
  ) throws(Fault) -> UnsafeRawBufferPointer {
    let bytes = tensor.type.bits / 8
    let part = UnsafeMutableRawBufferPointer(
      rebasing: scratch[worker].bytes[..<(range.count * bytes)])
    try fetch(tensor, from: range.lowerBound * bytes, into: part)
    return UnsafeRawBufferPointer(part)
  }

  // parts (rows, columns) → slot (rows, columns)
  private func assemble(
    _ tensor: PlannedTensor, _ assembly: Assembly, _ tile: Tile, _ worker: Int,
    _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    let memory = scratch[worker].bytes
    let chunk = AssemblyProducer.chunk(tensor, scratchBytes: memory.count)
    let areas = (0..<2).map { area in
      UnsafeMutableRawBufferPointer(rebasing: memory[area * chunk * 4..<(area + 1) * chunk * 4])
        .bindMemory(to: Float.self)
    }
    let stored = UnsafeMutableRawBufferPointer(rebasing: memory[chunk * 8..<chunk * 12])
    let size = tensor.entry.type.byteOffset(of: tile.rows.count * tile.columns.count)
    try AssemblyProducer(
      assembly: assembly, entry: tensor.entry,
      source: RowSource(inventory: inventory, scratch: stored) { count in
        self.read.wrappingAdd(count, ordering: .relaxed)
      },
      values: areas[0], turned: areas[1], importance: tensor.importance,
      isChecked: plan.recipe.isGGUF
    ).produce(
      rows: tile.rows, columns: tile.columns,
      into: UnsafeMutableRawBufferPointer(rebasing: slot[..<size]))
    return size
  }

  // source (columns) → slot (columns)
  private func cast(
    _ tensor: PlannedTensor, _ tile: Tile, _ worker: Int, _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    let source = try elements(tile.columns, of: tensor.source, worker)
    let count = tile.columns.count * tensor.entry.type.bits / 8
    codec(tensor.source.type).convert(
      source, count: tile.columns.count, to: codec(tensor.entry.type),
      into: UnsafeMutableRawBufferPointer(rebasing: slot[..<count]))
    return count
  }

  // source FP8 (rows, columns), scales (⌈rows / block⌉, ⌈columns / block⌉) → slot (rows, columns)
  private func dequantize(
    _ tensor: PlannedTensor, _ block: BlockSize, _ tile: Tile, _ worker: Int,
    _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    guard let stored = tensor.scales else { preconditionFailure("the plan names the scales") }
    let width = tensor.entry.shape.dimensions[1]
    let gridWidth = stored.shape.dimensions[1]
    // Whole rows, or a piece of one row that begins at a block: both are contiguous, in the weight
    // and in the grid, and form a smaller matrix with a grid of its own.
    let gridRows = tile.rows.lowerBound / block.rows...(tile.rows.upperBound - 1) / block.rows
    let gridColumns =
      tile.columns.lowerBound / block.columns...(tile.columns.upperBound - 1) / block.columns
    let firstScale = gridRows.lowerBound * gridWidth + gridColumns.lowerBound
    let scales = BlockScales(
      values: try numbers(
        firstScale..<firstScale + gridRows.count * gridColumns.count, of: stored),
      blockRows: block.rows, blockColumns: block.columns)
    let start = tile.rows.lowerBound * width + tile.columns.lowerBound
    let count = tile.rows.count * tile.columns.count
    let source = try elements(start..<start + count, of: tensor.source, worker)
    let skipped = gridRows.lowerBound * block.rows
    let result = count * tensor.entry.type.bits / 8
    scales.convert(
      source, type: tensor.source.type,
      tile: MatrixTile(
        rows: tile.rows.lowerBound - skipped..<tile.rows.upperBound - skipped,
        width: tile.columns.count),
      to: tensor.entry.type, into: UnsafeMutableRawBufferPointer(rebasing: slot[..<result]))
    return result
  }

  /// Elements `range` of a plain tensor as F32.
  private func numbers(_ range: Range<Int>, of tensor: StoredTensor) throws(Fault) -> [Float] {
    let bytes = tensor.type.bits / 8
    let stored = ByteBuffer(count: range.count * bytes)
    try fetch(tensor, from: range.lowerBound * bytes, into: stored.bytes)
    return [Float](unsafeUninitializedCapacity: range.count) { buffer, count in
      codec(tensor.type).decode(
        UnsafeRawBufferPointer(stored.bytes),
        into: UnsafeMutableBufferPointer(rebasing: buffer[..<range.count]))
      count = range.count
    }
  }

  // source (rows, columns) → slot FP8 (rows, columns)
  private func quantize(
    _ tensor: PlannedTensor, _ block: BlockSize, _ powerOfTwo: Bool, _ tile: Tile, _ worker: Int,
    _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    let columns = tile.columns.count
    let start = tile.rows.lowerBound * columns
    let count = tile.rows.count * columns
    let source = try elements(start..<start + count, of: tensor.source, worker)
    let quantizer = BlockQuantizer(block, powerOfTwo: powerOfTwo)
    let grid = quantizer.gridRows(rows: tile.rows.count) * quantizer.gridColumns(columns: columns)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: grid) { scales in
      quantizer.findScales(
        source, type: tensor.source.type, rows: tile.rows.count, columns: columns, into: scales)
      quantizer.encode(
        source, type: tensor.source.type, rows: tile.rows.count, columns: columns,
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
    let height = tensor.source.shape.dimensions[0]
    let columns = tensor.source.shape.dimensions[1]
    let quantizer = BlockQuantizer(block, powerOfTwo: powerOfTwo)
    let count = tile.rows.count * tile.columns.count
    let results = slot.bindMemory(to: Float.self)
    for band in tile.rows {
      let first = band * block.rows
      let rows = min(block.rows, height - first)
      let source = try elements(
        first * columns..<(first + rows) * columns, of: tensor.source, worker)
      let start = (band - tile.rows.lowerBound) * tile.columns.count
      let row = UnsafeMutableBufferPointer(
        rebasing: results[start..<start + tile.columns.count])
      quantizer.findScales(
        source, type: tensor.source.type, rows: rows, columns: columns, into: row)
      guard row.allSatisfy(\.isFinite) else {
        throw Fault(
          .malformed, "holds NaN or infinity, which FP8 blocks cannot scale",
          file: inventory.shards[tensor.source.shard].file.path, tensor: tensor.source.name,
          expected: "finite weights in rows \(first) to \(first + rows - 1)")
      }
    }
    return count * MemoryLayout<Float>.size
  }

  private func codec(_ type: ElementType) -> Codec {
    guard let codec = Codec.codec(for: type) else {
      preconditionFailure("the plan converts types that have codecs")
    }
    return codec
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
