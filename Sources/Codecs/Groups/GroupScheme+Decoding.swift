package import Tensors

extension GroupScheme {
  /// The grid that decodes codes of some rows, from scales and offsets as they are stored.
  ///
  /// - Parameters:
  ///   - scales: (rows, groups) of `scaleType`, which need not be the type that is written.
  ///   - offsets: biases (rows, groups) of the same type, or words of zero points that begin with
  ///     row `firstZeroPoint` of their first word; nil where the scheme has none.
  ///   - firstZeroPoint: where a band starts inside a word of zero points.
  ///   - globalScale: what scales are divided or multiplied by: NVFP4's, 1 elsewhere.
  package func blockScales(
    _ scales: UnsafeRawBufferPointer, scaleType: ElementType,
    offsets: UnsafeRawBufferPointer? = nil, firstZeroPoint: Int = 0, rows: Int, columns: Int,
    globalScale: Float = 1
  ) -> BlockScales {
    precondition(divides(columns: columns) && (offsets != nil) == (self.offsets != .none))
    let count = rows * groups(columns: columns)
    let values = GroupScheme.numbers(scales, scaleType, count)
    let offset: BlockScales.Offset =
      switch (method, offsets) {
      case (.symmetric, _): .zero(Float(1 << (code.bits - 1)))
      case (.asymmetric, let words?):
        .zeros(zeroPoints(words, first: firstZeroPoint, rows: rows, columns: columns))
      case (_, let biases?): .biases(GroupScheme.numbers(biases, scaleType, count))
      default: .none
      }
    let grid = BlockScales(
      values: values, offset: offset, blockRows: 1, blockColumns: group ?? columns)
    if globalScale == 1 { return grid }
    return method == .modelOpt
      ? grid.multiplied(by: globalScale) : grid.divided(by: globalScale)
  }

  private static func numbers(
    _ bytes: UnsafeRawBufferPointer, _ type: ElementType, _ count: Int
  ) -> [Float] {
    guard let codec = Codec.codec(for: type) else {
      preconditionFailure("\(type.rawValue) has no codec")
    }
    return [Float](unsafeUninitializedCapacity: count) { values, used in
      codec.decode(bytes, into: UnsafeMutableBufferPointer(rebasing: values[..<count]))
      used = count
    }
  }

  /// Zero points as codes without sign, which is how the codes of the weights are stored too.
  private func zeroPoints(
    _ words: UnsafeRawBufferPointer, first: Int, rows: Int, columns: Int
  ) -> [Float] {
    let (bits, groups) = (code.bits, groups(columns: columns))
    precondition(words.count >= ((first + rows) * bits + 31) / 32 * 4 * groups)
    return (0..<rows).flatMap { row in
      let (word, place) = ((first + row) * bits).quotientAndRemainder(dividingBy: 32)
      return (0..<groups).map { group in
        let byte = words[4 * (word * groups + group) + place / 8]
        return Float(byte >> UInt8(place % 8) & UInt8(1 << bits - 1))
      }
    }
  }
}
