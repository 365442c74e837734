internal import Codecs
internal import Dialects
internal import Formats
internal import Locks
internal import Platform
internal import Tensors
internal import Weights

extension TileProducer {
  // assembly (rows, columns) → slot, the part's rows for those
  func quantize(
    _ tensor: PlannedTensor, _ quantization: Quantization, _ part: Operation.Part, _ tile: Tile,
    _ worker: Int, _ slot: UnsafeMutableRawBufferPointer, _ made: (Int) -> Void
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
      tensor, quantization, tile.rows, globalScale: globalScale, worker, into: targets, made)
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
    into targets: [Target], _ made: (Int) -> Void
  ) throws(Fault) {
    let (type, columns) = (tensor.type(quantization), tensor.assembly.columns)
    let band = quantization.bandRows
    let bandBytes = max(1, type.byteOffset(of: band * columns))
    let rowsAtOnce = max(1, TileProducer.cacheBytes / bandBytes) * band
    let window = window(
      on: tensor, rows, 0..<columns, worker,
      after: type.byteOffset(of: min(rows.count, rowsAtOnce) * columns))
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsAtOnce) {
      let group = first..<min(rows.upperBound, first + rowsAtOnce)
      let size = type.byteOffset(of: group.count * columns)
      let source = UnsafeMutableRawBufferPointer(rebasing: scratch[worker].bytes[..<size])
      let (reader, values) = reader(of: tensor, worker, after: size, window: window)
      let producer = AssemblyProducer(
        assembly: tensor.assembly, type: type, name: tensor.entry.name, reader: reader,
        values: values)
      let stored = try producer.stored(rows: group)
      if stored == nil { try producer.produce(rows: group, columns: 0..<columns, into: source) }
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
        source: stored ?? UnsafeRawBufferPointer(source), type: type, rows: group.count,
        columns: columns
      ).quantize(
        quantization, scaleType: scaleType, globalScale: globalScale, into: output)
      switch obstacle {
      case nil:
        made(
          targets[0].tensor.byteCount(
            of: quantization, targets[0].part, rows: group.upperBound - rows.lowerBound))
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
struct GlobalScaleKey: Hashable {
  let shard: Int
  let offset: Int
  let type: ElementType
}
