internal import Codecs
internal import Tensors

/// Rows of plain numbers that are about to be quantized.
struct QuantizedRows {
  /// rows × columns elements of `type`
  let source: UnsafeRawBufferPointer
  let type: ElementType
  let rows: Int
  let columns: Int

  /// source → the bytes of a part
  ///
  /// - Parameters:
  ///   - scaleType: what scales and offsets are stored in.
  ///   - globalScale: what scales are divided by, where the method has that.
  /// - Returns: false where a number is not finite, so that the part has no meaning.
  func quantize(
    _ method: Quantization.Method, _ part: Operation.Part, scaleType: ElementType,
    globalScale: Float, into target: UnsafeMutableRawBufferPointer
  ) -> Bool {
    switch method {
    case .blocks(let block, let format):
      return quantize(
        BlockQuantizer(blockRows: block.rows, blockColumns: block.columns, scaleFormat: format),
        part, scaleType: scaleType, into: target)
    case .groups(let scheme):
      // The peers let a NaN vanish or spread, as their largest magnitude has it.
      guard AssemblyReader.codec(type).firstNotFinite(source) == nil else { return false }
      var output = GroupOutput()
      switch part {
      case .codes: output.codes = target
      case .scales: output.scales = target
      case .offsets: output.offsets = target
      case .globalScale: preconditionFailure("it is one for all rows")
      }
      GroupQuantizer(scheme, globalScale: globalScale).quantize(
        source, type: type, rows: rows, columns: columns, into: output)
      return true
    }
  }

  private func quantize(
    _ quantizer: BlockQuantizer, _ part: Operation.Part, scaleType: ElementType,
    into target: UnsafeMutableRawBufferPointer
  ) -> Bool {
    let count = quantizer.gridRows(rows: rows) * quantizer.gridColumns(columns: columns)
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { scales in
      quantizer.findScales(source, type: type, rows: rows, columns: columns, into: scales)
      guard scales.allSatisfy(\.isFinite) else { return false }
      if part == .codes {
        quantizer.encode(
          source, type: type, rows: rows, columns: columns,
          scales: UnsafeBufferPointer(scales), into: target)
      } else {
        AssemblyReader.codec(scaleType).encode(UnsafeBufferPointer(scales), into: target)
      }
      return true
    }
  }
}
