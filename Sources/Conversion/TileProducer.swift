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
    let tensor = plan.tensors[tile.tensor]
    switch tensor.operation {
    case .copy:
      let part = UnsafeMutableRawBufferPointer(rebasing: slot[..<tile.columns.count])
      try fetch(tensor.source, from: tile.columns.lowerBound, into: part)
      return part.count
    case .cast: return try cast(tensor, tile, worker, slot)
    case .dequantize(let block): return try dequantize(tensor, block, tile, worker, slot)
    case .quantize(let block, let powerOfTwo):
      return try quantize(tensor, block, powerOfTwo, tile, worker, slot)
    case .scales(let block, let powerOfTwo):
      return try scales(tensor, block, powerOfTwo, tile, worker, slot)
    }
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

  // source (columns) → slot (columns)
  private func cast(
    _ tensor: PlannedTensor, _ tile: Tile, _ worker: Int, _ slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    let source = try elements(tile.columns, of: tensor.source, worker)
    let count = tile.columns.count * tensor.entry.type.bits / 8
    PlainNumbers.convert(
      source, tensor.source.type, to: UnsafeMutableRawBufferPointer(rebasing: slot[..<count]),
      tensor.entry.type)
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
    // Whole rows, or a piece of one row: both are contiguous, in the weight and in the grid.
    let gridRows = tile.rows.lowerBound / block.rows...(tile.rows.upperBound - 1) / block.rows
    let gridColumns =
      tile.columns.lowerBound / block.columns...(tile.columns.upperBound - 1) / block.columns
    let first = gridRows.lowerBound * gridWidth + gridColumns.lowerBound
    let grid = try numbers(first..<first + gridRows.count * gridColumns.count, of: stored, worker)
    let start = tile.rows.lowerBound * width + tile.columns.lowerBound
    let count = tile.rows.count * tile.columns.count
    let source = try elements(start..<start + count, of: tensor.source, worker)
    let step = tensor.entry.type.bits / 8
    for row in tile.rows {
      let local = row - tile.rows.lowerBound
      let columns = tile.columns.count
      let gridStart = (row / block.rows - gridRows.lowerBound) * gridColumns.count
      FP8Numbers.decodeRow(
        UnsafeRawBufferPointer(rebasing: source[local * columns..<(local + 1) * columns]),
        scales: grid[gridStart..<gridStart + gridColumns.count], blockColumns: block.columns,
        to: UnsafeMutableRawBufferPointer(
          rebasing: slot[local * columns * step..<(local + 1) * columns * step]),
        tensor.entry.type)
    }
    return count * step
  }

  /// Elements `range` of a plain tensor as F32.
  private func numbers(
    _ range: Range<Int>, of tensor: StoredTensor, _ worker: Int
  ) throws(Fault) -> [Float] {
    let stored = ByteBuffer(count: range.count * tensor.type.bits / 8)
    try fetch(tensor, from: range.lowerBound * tensor.type.bits / 8, into: stored.bytes)
    return [Float](unsafeUninitializedCapacity: range.count) { buffer, count in
      PlainNumbers.convert(
        UnsafeRawBufferPointer(stored.bytes), tensor.type,
        to: UnsafeMutableRawBufferPointer(buffer), .f32)
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
    let step = tensor.source.type.bits / 8
    for first in stride(from: 0, to: tile.rows.count, by: block.rows) {
      let rows = min(block.rows, tile.rows.count - first)
      FP8Numbers.encodeBand(
        UnsafeRawBufferPointer(
          rebasing: source[first * columns * step..<(first + rows) * columns * step]),
        tensor.source.type, rows: rows, columns: columns, blockColumns: block.columns,
        powerOfTwo: powerOfTwo,
        to: UnsafeMutableRawBufferPointer(
          rebasing: slot[first * columns..<(first + rows) * columns]))
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
    let results = slot.assumingMemoryBound(to: Float.self)
    for band in tile.rows {
      let first = band * block.rows
      let rows = min(block.rows, height - first)
      let source = try elements(
        first * columns..<(first + rows) * columns, of: tensor.source, worker)
      let start = (band - tile.rows.lowerBound) * tile.columns.count
      FP8Numbers.scales(
        source, tensor.source.type, rows: rows, columns: columns, blockColumns: block.columns,
        powerOfTwo: powerOfTwo,
        to: UnsafeMutableBufferPointer(
          rebasing: results[start..<start + tile.columns.count]))
    }
    return tile.rows.count * tile.columns.count * MemoryLayout<Float>.size
  }
}
