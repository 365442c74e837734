internal import Codecs
internal import Locks
internal import Platform
internal import Reference
internal import Tensors
internal import Weights

/// Codes with scales beside them.
extension QuantizedWeights {
  /// values → their bytes in a type of plain numbers.
  private func plain(_ values: Activations, as type: ElementType) -> (codec: Codec, ByteBuffer) {
    guard let codec = Codec.codec(for: type),
      let size = type.byteCount(elements: values.values.count)
    else { preconditionFailure("\(type.rawValue) is no type of plain numbers") }
    let plain = ByteBuffer(count: size)
    codec.encode(UnsafeBufferPointer(values.values), into: plain.bytes)
    return (codec, plain)
  }

  private func notFinite(_ tensor: ExactText) -> Fault {
    Fault(
      .malformed, "holds NaN or infinity, which cannot be scaled", tensor: tensor,
      expected: "finite weights")
  }

  /// values → codes with scales, as the peer finds them for numbers of that type.
  func grouped(
    _ values: Activations, _ scheme: GroupScheme, of type: ElementType, joined: [String],
    _ tensor: ExactText
  ) throws(Fault) -> WeightMatrix {
    let (rows, columns) = (values.rows, values.columns)
    let (codec, plain) = plain(values, as: type)
    guard codec.firstNotFinite(UnsafeRawBufferPointer(plain.bytes)) == nil else {
      throw notFinite(tensor)
    }
    let globalScale = try globalScale(of: joined, scheme, type, tensor)
    let codes = ByteBuffer(count: rows * scheme.codeBytes(columns: columns))
    let scales = ByteBuffer(count: scheme.scaleBytes(rows: rows, columns: columns, type: type))
    let offsets = ByteBuffer(count: scheme.offsetBytes(rows: rows, columns: columns, type: type))
    let hasOffsets = scheme.offsets != .none
    GroupQuantizer(scheme, globalScale: globalScale).quantize(
      UnsafeRawBufferPointer(plain.bytes), type: type, rows: rows, columns: columns,
      into: GroupOutput(
        codes: codes.bytes, scales: scales.bytes, offsets: hasOffsets ? offsets.bytes : nil))
    return WeightMatrix(
      type: scheme.code, rows: rows, columns: columns, storage: codes,
      rowBytes: scheme.codeBytes(columns: columns),
      scales: scheme.blockScales(
        UnsafeRawBufferPointer(scales.bytes), scaleType: scheme.scaleType(of: type),
        offsets: hasOffsets ? UnsafeRawBufferPointer(offsets.bytes) : nil, rows: rows,
        columns: columns, globalScale: globalScale))
  }

  /// Some rows of a matrix in blocks: all rows of those blocks decide about their scales.
  func inBlocks(
    of block: BlockSize, _ name: String, rows: Range<Int>, _ form: StoredForm
  ) throws(Fault) -> WeightMatrix {
    let height = try size(ofMatrix: name).rows
    let first = rows.lowerBound / block.rows * block.rows
    let last = min(height, (rows.upperBound + block.rows - 1) / block.rows * block.rows)
    let source = try base.matrix(name, rows: first..<last)
    let whole = try encoded(
      QuantizedWeights.values(of: source), as: form, matrix: form.matrix.index)
    guard let grid = whole.scales else { return whole }
    return WeightMatrix(
      type: whole.type, rows: rows.count, columns: whole.columns, storage: whole.storage,
      offset: (rows.lowerBound - first) * whole.rowBytes,
      scales: BlockScales(
        values: grid.values, blockRows: grid.blockRows, blockColumns: grid.blockColumns,
        firstRow: rows.lowerBound - first))
  }

  /// values, the first row at a block's edge → FP8 codes with the scales of their blocks.
  func blocked(
    _ values: Activations, _ block: BlockSize, _ format: BlockQuantizer.ScaleFormat,
    of type: ElementType, _ tensor: ExactText
  ) throws(Fault) -> WeightMatrix {
    let (rows, columns) = (values.rows, values.columns)
    let (_, plain) = plain(values, as: type)
    let quantizer = BlockQuantizer(
      blockRows: block.rows, blockColumns: block.columns, scaleFormat: format)
    let source = UnsafeRawBufferPointer(plain.bytes)
    var scales = [Float](
      repeating: 0, count: quantizer.gridRows(rows: rows) * quantizer.gridColumns(columns: columns))
    let codes = ByteBuffer(count: rows * columns)
    scales.withUnsafeMutableBufferPointer { scales in
      quantizer.findScales(source, type: type, rows: rows, columns: columns, into: scales)
      guard scales.allSatisfy(\.isFinite) else { return }
      quantizer.encode(
        source, type: type, rows: rows, columns: columns, scales: UnsafeBufferPointer(scales),
        into: codes.bytes)
    }
    guard scales.allSatisfy(\.isFinite) else { throw notFinite(tensor) }
    return WeightMatrix(
      type: .f8E4M3, rows: rows, columns: columns, storage: codes,
      scales: BlockScales(
        values: scales, blockRows: block.rows, blockColumns: block.columns))
  }

  /// What the scales of weights are divided by that loaders join: 1 where there are none.
  private func globalScale(
    of joined: [String], _ scheme: GroupScheme, _ type: ElementType, _ tensor: ExactText
  ) throws(Fault) -> Float {
    guard let first = joined.first else { return 1 }
    let key = GlobalScales.Key(first: first, type: type)
    if let known = globalScales.known.withLock({ $0[key] }) { return known }
    var largest: Float = 0
    for name in joined {
      let size = try size(ofMatrix: name)
      // So many rows as fill 4 MiB.
      let band = max(1, (1 << 20) / max(1, size.columns))
      for start in stride(from: 0, to: size.rows, by: band) {
        let rows = start..<min(size.rows, start + band)
        let values = QuantizedWeights.values(of: try base.matrix(name, rows: rows))
        let (codec, plain) = plain(values, as: type)
        largest = max(largest, codec.largestMagnitude(UnsafeRawBufferPointer(plain.bytes)))
      }
    }
    guard largest.isFinite else { throw notFinite(tensor) }
    let scale = GroupQuantizer.globalScale(scheme, largest: largest, type: type)
    globalScales.known.withLock { $0[key] = scale }
    return scale
  }
}

/// Global scales of weights that loaders join, kept since every band of rows asks for them.
final class GlobalScales: Sendable {
  /// The first of the weights, and the type that they are rounded to before.
  struct Key: Hashable, Sendable {
    let first: String
    let type: ElementType
  }

  let known = Guarded<[Key: Float]>([:])
}
