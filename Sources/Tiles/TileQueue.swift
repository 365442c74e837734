internal import Codecs
package import Dialects
internal import Formats
internal import Tensors
internal import Weights

/// A piece of an output tensor that is read, converted and written in one go.
///
/// (rows × columns) of the tensor seen as a matrix, whole rows or a piece of one row, so that its
/// bytes are contiguous in the output. For scales, rows and columns count blocks.
package struct Tile {
  /// Index in `PlannedOutput.tensors`.
  package let tensor: Int
  /// Index of the file that it goes to.
  package let file: Int
  let rows: Range<Int>
  let columns: Range<Int>
  /// Where its bytes start in the file.
  package let position: Int
  /// Where they start in the tensor.
  package let start: Int
}

/// How one tensor is cut into tiles.
///
/// Copies do not care about rows: they are cut as one row of bytes.
struct TileGrid {
  /// The tensor seen as a matrix.
  let rows: Int
  let columns: Int
  let rowsPerTile: Int
  let columnsPerTile: Int

  var count: Int {
    rows == 0 || columns == 0
      ? 0
      : (rows + rowsPerTile - 1) / rowsPerTile * ((columns + columnsPerTile - 1) / columnsPerTile)
  }

  /// Cuts a tensor so that neither a tile's source nor its result exceeds `tileBytes`.
  init(_ tensor: PlannedTensor, tileBytes: Int) {
    let elements = tensor.elements(inBytes: tileBytes)
    switch tensor.operation {
    case .copy:
      rows = 1
      columns = tensor.entry.byteCount
      rowsPerTile = 1
      // Whole blocks, so that each tile can be looked at by itself.
      let unit = tensor.entry.type.byteCount(elements: tensor.entry.type.blockElements) ?? 1
      columnsPerTile = max(1, tileBytes / unit) * unit
    case .constant(let bytes):
      rows = 1
      columns = bytes.count
      rowsPerTile = 1
      columnsPerTile = max(1, tileBytes)
    case .quantize(_, .globalScale):
      (rows, columns, rowsPerTile, columnsPerTile) = (1, 1, 1, 1)
    case .unpack:
      rows = tensor.assembly.rows
      columns = tensor.assembly.columns
      rowsPerTile = max(1, elements / max(1, columns))
      columnsPerTile = max(1, columns)
    case .quantize(let quantization, _):
      rows = tensor.assembly.rows
      columns = tensor.assembly.columns
      let band = min(quantization.bandRows, max(1, rows))
      rowsPerTile = max(1, elements / max(1, columns) / band) * band
      columnsPerTile = max(1, columns)
    case .convert, .change:
      rows = tensor.assembly.rows
      columns = tensor.assembly.columns
      rowsPerTile = max(1, elements / max(1, columns))
      columnsPerTile = columns <= elements ? max(1, columns) : elements
    }
  }

  /// Rows and columns of tile `index`, row-major.
  func ranges(_ index: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let across = (columns + columnsPerTile - 1) / columnsPerTile
    let row = index / across * rowsPerTile
    let column = index % across * columnsPerTile
    return (
      row..<min(rows, row + rowsPerTile), column..<min(columns, column + columnsPerTile)
    )
  }
}

extension PlannedTensor {
  /// Elements of a tile of so many bytes, before as well as after their conversion.
  fileprivate func elements(inBytes bytes: Int) -> Int {
    switch operation {
    case .copy, .constant, .unpack: bytes
    // A multiple of every block; F32 is the widest type on the way, or what is stored.
    case .convert, .change:
      max(256, bytes * 8 / max(32, source.type.isBlock ? 0 : source.type.bits) / 256 * 256)
    case .quantize(let quantization, _):
      max(1, (bytes - reservedBytes(quantization)) * 8 / bits(quantization))
    }
  }

  /// Bits of an element before it is quantized, or of what it becomes where that is more: the same for
  /// all parts of a weight, so that what is found with a tile of codes is a tile of scales.
  private func bits(_ quantization: Quantization) -> Int {
    let rows = quantization.bandRows
    let most = [Operation.Part.codes, .scales, .offsets].map {
      quantization.byteCount(of: $0, rows: rows, columns: assembly.columns, type: .f32)
    }.max()
    let elements = max(1, rows * assembly.columns)
    return max(type(quantization).bits, ((most ?? 0) * 8 + elements - 1) / elements)
  }

  /// Bytes of the output before a tile that begins at a row and column of its grid.
  fileprivate func bytes(before row: Int, _ column: Int, in grid: TileGrid) -> Int {
    switch operation {
    case .copy, .constant: column
    case .convert, .change: entry.type.byteOffset(of: row * grid.columns + column)
    case .unpack: entry.byteCount / max(1, grid.rows) * row
    // Rows are counted in what is quantized, and tiles are bands of whole rows.
    case .quantize(let quantization, let part):
      row == 0
        ? 0
        : byteCount(of: quantization, part, rows: row)
    }
  }

  /// The type of a single tensor of plain numbers; nil for everything else.
  private var plainType: ElementType? {
    guard let (tensor, scaling) = assembly.single, scaling == nil, !tensor.type.isBlock,
      tensor.type.bits >= 8
    else { return nil }
    return tensor.type
  }

  /// Bytes that a part of so many rows takes in this tensor.
  func byteCount(of quantization: Quantization, _ part: Operation.Part, rows: Int) -> Int {
    quantization.byteCount(of: part, rows: rows, columns: assembly.columns, type: entry.type)
  }

  /// The type of the values that are quantized.
  func type(_ quantization: Quantization) -> ElementType {
    quantization.type ?? plainType ?? .f32
  }

  /// Bytes of areas beside the values that are quantized: none where those are stored as they are.
  private func reservedBytes(_ quantization: Quantization) -> Int {
    plainType == type(quantization) ? 0 : areas * AssemblyReader.chunk * 4
  }

  /// Elements of a row where its columns are weighed, so that it is quantized in one go; else 0.
  var weighedRow: Int { importance == nil ? 0 : assembly.columns }

  /// Bytes of an area for values within scratch memory of that size, which must hold one for what
  /// is encoded, one for what is stored and one for each transposition: a multiple of every block.
  ///
  /// Where columns are weighed it holds a row at least: its mean square enters into each block.
  func areaBytes(scratchBytes: Int) -> Int {
    let most = scratchBytes / areas / 1024 * 1024
    return min(max(AssemblyReader.chunk, (weighedRow + 255) / 256 * 256) * 4, most)
  }

  private var areas: Int { 2 + assembly.turns }

  /// Bytes of the smallest tile that the tensor allows: a band of blocks that share their scales.
  package var indivisibleBytes: Int {
    switch operation {
    case .copy, .constant: 0
    // A row of codes, which has more bytes than one of scales.
    case .unpack: 2 * assembly.columns
    case .convert, .change: (weighedRow + 255) / 256 * 256 * areas * 4
    case .quantize(let quantization, let part):
      // Read as one piece; and what it becomes, which for tiny blocks may take more.
      max(
        reservedBytes(quantization) + min(quantization.bandRows, assembly.rows) * assembly.columns
          * type(quantization).bits / 8,
        byteCount(of: quantization, part, rows: min(quantization.bandRows, assembly.rows)))
    }
  }
}

extension Quantization {
  /// Rows that a tile must be a multiple of, all tiles of a tensor but the last.
  var bandRows: Int {
    switch method {
    case .blocks(let block, _): block.rows
    case .groups(let scheme): scheme.bandRows
    }
  }

  /// Bytes that a part of so many rows takes, scales being stored in `type`.
  func byteCount(
    of part: Operation.Part, rows: Int, columns: Int, type: ElementType
  ) -> Int {
    switch (method, part) {
    case (_, .globalScale): return MemoryLayout<Float>.size
    case (.blocks, .codes): return rows * columns
    case (.blocks(let block, _), _):
      let grid = Scaling.grid(block, rows: rows, columns: columns)
      return grid[0] * grid[1] * type.bits / 8
    case (.groups(let scheme), .codes): return rows * scheme.codeBytes(columns: columns)
    case (.groups(let scheme), .scales):
      return rows * scheme.groups(columns: columns) * type.bits / 8
    case (.groups(let scheme), .offsets):
      return scheme.offsetBytes(rows: rows, columns: columns, type: type)
    }
  }
}

/// All tiles of a plan in the order of their bytes, without a list of them.
package struct TileQueue: Sendable {
  private let order: [(tensor: Int, file: Int, offset: Int)]
  /// Number of tiles before each tensor in `order`, and of all at the end.
  private let starts: [Int]
  /// The tiles of each file.
  private let files: [Range<Int>]
  private let output: PlannedOutput
  private let tileBytes: Int

  /// Number of tiles.
  package var count: Int { starts[starts.count - 1] }

  /// Lists the tiles of an output that pass through such buffers.
  package init(_ output: PlannedOutput, _ buffers: BufferPlan) {
    self.output = output
    tileBytes = buffers.tileBytes
    var order: [(tensor: Int, file: Int, offset: Int)] = []
    var starts = [0]
    var files: [Range<Int>] = []
    for (number, file) in output.layout.files.enumerated() {
      let first = starts[starts.count - 1]
      for (tensor, offset) in zip(file.tensors, file.offsets) {
        order.append((tensor, number, offset))
        let grid = TileGrid(output.tensors[tensor], tileBytes: tileBytes)
        starts.append(starts[starts.count - 1] + grid.count)
      }
      files.append(first..<starts[starts.count - 1])
    }
    self.order = order
    self.starts = starts
    self.files = files
  }

  /// Tile `item`.
  package subscript(item: Int) -> Tile {
    // The last tensor that starts at or before the item: empty tensors share their start.
    let place = place(of: item)
    let (tensor, file, offset) = order[place]
    let grid = TileGrid(output.tensors[tensor], tileBytes: tileBytes)
    let (rows, columns) = grid.ranges(item - starts[place])
    let start = output.tensors[tensor].bytes(before: rows.lowerBound, columns.lowerBound, in: grid)
    return Tile(
      tensor: tensor, file: file, rows: rows, columns: columns, position: offset + start,
      start: start)
  }

  /// Where the tensor of a tile stands in `order`.
  private func place(of item: Int) -> Int {
    var (low, high) = (0, order.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= item { low = middle } else { high = middle }
    }
    return low
  }

  /// Where the first of the tiles begins that write a file's bytes from `start` on.
  package func firstPosition(ofFile file: Int, from start: Int) -> Int {
    let items = items(ofFile: file, from: start)
    return items.isEmpty ? .max : self[items.lowerBound].position
  }

  /// The tiles that write a file's bytes from `start` to `end`, those of each tensor together.
  package func runs(
    ofFile file: Int, from start: Int, to end: Int
  ) -> [(tensor: Int, items: Range<Int>)] {
    let items = items(ofFile: file, from: start, to: end)
    var runs: [(tensor: Int, items: Range<Int>)] = []
    var next = items.lowerBound
    var place = items.isEmpty ? 0 : place(of: next)
    while next < items.upperBound {
      let last = min(starts[place + 1], items.upperBound)
      if last > next { runs.append((order[place].tensor, next..<last)) }
      (next, place) = (last, place + 1)
    }
    return runs
  }

  /// The tiles that write a file's bytes from `start` to `end`; the first may begin before them, the
  /// last end behind.
  package func items(ofFile file: Int, from start: Int, to end: Int = .max) -> Range<Int> {
    var (low, high) = (files[file].lowerBound, files[file].upperBound)
    // The last tile that begins at or before `start`.
    while high - low > 1 {
      let middle = (low + high) / 2
      if self[middle].position <= start { low = middle } else { high = middle }
    }
    let first = low
    // The first tile that begins at or behind `end`.
    high = files[file].upperBound
    while low < high {
      let middle = (low + high) / 2
      if self[middle].position < end { low = middle + 1 } else { high = middle }
    }
    return first..<max(first, low)
  }
}
