internal import Codecs
internal import Dialects
internal import Tensors
internal import Weights

/// Rows of plain numbers that are about to be quantized.
struct QuantizedRows {
  /// rows × columns elements of `type`
  let source: UnsafeRawBufferPointer
  let type: ElementType
  let rows: Int
  let columns: Int

  /// source → the bytes of the parts that `output` names
  ///
  /// - Parameters:
  ///   - scaleType: what scales and offsets are stored in.
  ///   - globalScale: what scales are divided by, where the method has that.
  /// - Returns: false where a number is not finite, so that the parts have no meaning.
  func quantize(
    _ method: Quantization.Method, scaleType: ElementType, globalScale: Float,
    into output: GroupOutput
  ) -> Bool {
    switch method {
    case .blocks(let block, let format):
      return quantize(
        BlockQuantizer(blockRows: block.rows, blockColumns: block.columns, scaleFormat: format),
        scaleType: scaleType, into: output)
    case .groups(let scheme):
      // The peers let a NaN vanish or spread, as their largest magnitude has it.
      guard AssemblyReader.codec(type).firstNotFinite(source) == nil else { return false }
      GroupQuantizer(scheme, globalScale: globalScale).quantize(
        source, type: type, rows: rows, columns: columns, into: output)
      return true
    }
  }

  private func quantize(
    _ quantizer: BlockQuantizer, scaleType: ElementType, into output: GroupOutput
  ) -> Bool {
    let count = quantizer.gridRows(rows: rows) * quantizer.gridColumns(columns: columns)
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { scales in
      quantizer.findScales(source, type: type, rows: rows, columns: columns, into: scales)
      guard scales.allSatisfy(\.isFinite) else { return false }
      if let codes = output.codes {
        quantizer.encode(
          source, type: type, rows: rows, columns: columns,
          scales: UnsafeBufferPointer(scales), into: codes)
      }
      if let target = output.scales {
        AssemblyReader.codec(scaleType).encode(UnsafeBufferPointer(scales), into: target)
      }
      return true
    }
  }
}
