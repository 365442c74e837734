import Codecs
import Tensors

extension KernelBench {
  /// Elements of BF16 that become codes, scales and offsets in 10⁹ per second.
  static func quantize(_ scheme: GroupScheme, _ level: KernelLevel) -> Double {
    let weights = filled(2 * rows * columns)
    let (codes, scales, offsets) = parts(of: scheme)
    let quantizer = GroupQuantizer(
      scheme, globalScale: [.nvfp4, .modelOptNVFP4].contains(scheme) ? 100 : 1)
    return rate(Double(rows * columns)) {
      quantizer.quantize(
        UnsafeRawBufferPointer(weights.bytes), type: .bf16, rows: rows, columns: columns,
        into: GroupOutput(
          codes: codes.bytes, scales: scales.bytes,
          offsets: offsets.count == 0 ? nil : offsets.bytes), level: level)
    }
  }

  /// Codes that become F32 values in 10⁹ per second.
  static func decode(_ scheme: GroupScheme, _ level: KernelLevel) -> Double {
    let (codes, scales, offsets) = parts(of: scheme)
    let grid = scheme.blockScales(
      UnsafeRawBufferPointer(scales.bytes), scaleType: scheme.scaleType(of: .bf16),
      offsets: offsets.count == 0 ? nil : UnsafeRawBufferPointer(offsets.bytes), rows: rows,
      columns: columns)
    let rowBytes = scheme.codeBytes(columns: columns)
    let values = filled(4 * columns)
    return rate(Double(rows * columns)) {
      for row in 0..<rows {
        grid.decode(
          UnsafeRawBufferPointer(
            rebasing: codes.bytes[row * rowBytes..<(row + 1) * rowBytes]),
          type: scheme.code, tile: MatrixTile(rows: row..<row + 1, width: columns),
          into: UnsafeMutableBufferPointer(start: floats(values), count: columns), level: level)
      }
    }
  }

  private static func parts(
    of scheme: GroupScheme
  ) -> (codes: ByteBuffer, scales: ByteBuffer, offsets: ByteBuffer) {
    (
      filled(rows * scheme.codeBytes(columns: columns)),
      filled(scheme.scaleBytes(rows: rows, columns: columns, type: .bf16)),
      filled(scheme.offsetBytes(rows: rows, columns: columns, type: .bf16))
    )
  }
}
