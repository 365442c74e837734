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

  /// Why parts are not what they should be.
  enum Obstacle {
    /// A number is not finite, so that they have no meaning.
    case notFinite
    /// A number of this row is another one in codes that have to be exact.
    case changed(row: Int)
  }

  /// source → the bytes of the parts that `output` names
  ///
  /// - Parameters:
  ///   - scaleType: what scales and offsets are stored in.
  ///   - globalScale: what scales are divided by, where the method has that.
  /// - Returns: what keeps the parts from having the meaning that they should have.
  func quantize(
    _ quantization: Quantization, scaleType: ElementType, globalScale: Float,
    into output: GroupOutput
  ) -> Obstacle? {
    switch quantization.method {
    case .blocks(let block, let format):
      return quantize(
        BlockQuantizer(blockRows: block.rows, blockColumns: block.columns, scaleFormat: format),
        scaleType: scaleType, isExact: quantization.isExact, into: output)
    case .groups(let scheme):
      // The peers let a NaN vanish or spread, as their largest magnitude has it.
      guard AssemblyReader.codec(type).firstNotFinite(source) == nil else { return .notFinite }
      GroupQuantizer(scheme, globalScale: globalScale).quantize(
        source, type: type, rows: rows, columns: columns, into: output)
      return nil
    }
  }

  private func quantize(
    _ quantizer: BlockQuantizer, scaleType: ElementType, isExact: Bool, into output: GroupOutput
  ) -> Obstacle? {
    let count = quantizer.gridRows(rows: rows) * quantizer.gridColumns(columns: columns)
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { scales in
      quantizer.findScales(source, type: type, rows: rows, columns: columns, into: scales)
      guard scales.allSatisfy(\.isFinite) else { return .notFinite }
      if let codes = output.codes {
        quantizer.encode(
          source, type: type, rows: rows, columns: columns,
          scales: UnsafeBufferPointer(scales), into: codes)
        let changed =
          isExact
          ? quantizer.firstChanged(
            source, type: type, rows: rows, columns: columns,
            scales: UnsafeBufferPointer(scales), codes: UnsafeRawBufferPointer(codes)) : nil
        if let changed { return .changed(row: changed / columns) }
      }
      if let target = output.scales {
        AssemblyReader.codec(scaleType).encode(UnsafeBufferPointer(scales), into: target)
      }
      return nil
    }
  }
}
