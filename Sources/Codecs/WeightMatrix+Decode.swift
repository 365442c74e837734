internal import Tensors

extension WeightMatrix {
  /// Some columns of one row → values (columns.count), scaled where the matrix has scales.
  func decode(
    row: Int, columns range: Range<Int>, into values: UnsafeMutablePointer<Float>,
    _ level: KernelLevel
  ) {
    let start = row * columns + range.lowerBound
    let (from, to) = (start * type.bits / 8, (start + range.count) * type.bits / 8)
    let codes = UnsafeRawBufferPointer(rebasing: bytes[from..<to])
    let target = UnsafeMutableBufferPointer(start: values, count: range.count)
    if let scales {
      scales.decode(
        codes, type: type, tile: MatrixTile(rows: row..<row + 1, columns: range, width: columns),
        into: target, level: level)
    } else if let codec = Codec.codec(for: type) {
      codec.decode(codes, into: target, level: level)
    } else {
      preconditionFailure("\(type.rawValue) has no codec")
    }
  }
}
