internal import Codecs
internal import Platform
internal import Tensors

/// Normally distributed weights, the same in every run, by which types are compared: how much of
/// them is left once they were written in a type and read again.
struct NormalWeights {
  /// Output features: as many as a block of FP8 has.
  static let rows = 128
  /// Input features: whole blocks and groups of every type.
  static let columns = 2048
  /// Rows that blocks of ggml are measured on, each of which is searched for its best codes.
  static let blockRows = 8
  /// About that of a trained matrix.
  static let deviation = 0.02

  /// (rows, columns)
  let values: [Float]

  init() {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    /// SplitMix64, as a fraction that is never 0.
    func fraction() -> Double {
      state &+= 0x9E37_79B9_7F4A_7C15
      var word = state
      word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
      word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
      return (Double((word ^ (word >> 31)) >> 11) + 0.5) * 0x1p-53
    }
    values = (0..<Self.rows * Self.columns).map { _ in
      // Box and Muller's way.
      let radius = (-2 * Mathematics.log(fraction())).squareRoot()
      return Float(Self.deviation * radius * Mathematics.cos(2 * .pi * fraction()))
    }
  }

  /// Signal to noise in dB of what was read again of the first values; nil where they are the same.
  private func signalToNoise(_ read: [Float]) -> Double? {
    var (signal, noise) = (0.0, 0.0)
    for (value, other) in zip(values, read) {
      signal += Double(value) * Double(value)
      noise += (Double(value) - Double(other)) * (Double(value) - Double(other))
    }
    return noise == 0 ? nil : 10 * Mathematics.log(signal / noise) / Mathematics.log(10)
  }

  /// Of a type whose elements stand alone, or of a type of ggml's blocks; with equal importance for
  /// all columns where it is asked for.
  func signalToNoise(of type: ElementType, isWeighed: Bool = false) -> Double? {
    guard let codec = Codec.codec(for: type), codec.isWritable else { return nil }
    let (rows, columns) = (type.isBlock ? Self.blockRows : Self.rows, Self.columns)
    let bytes = ByteBuffer(count: type.byteOffset(of: rows * columns))
    let importance = [Float](repeating: 1, count: columns)
    values.withUnsafeBufferPointer { values in
      importance.withUnsafeBufferPointer { importance in
        codec.encode(
          UnsafeBufferPointer(rebasing: values[..<(rows * columns)]), columns: columns,
          importance: isWeighed || codec.needsImportance ? importance : nil, into: bytes.bytes)
      }
    }
    return signalToNoise(
      Self.read(rows * columns) {
        codec.decode(UnsafeRawBufferPointer(bytes.bytes), into: $0)
      })
  }

  /// Of groups, weights being BF16 before.
  func signalToNoise(of scheme: GroupScheme) -> Double? {
    let source = asBF16
    let (rows, columns) = (Self.rows, Self.columns)
    let global = GroupQuantizer.globalScale(
      scheme, largest: values.map(abs).max() ?? 1, type: .bf16)
    let codes = ByteBuffer(count: rows * scheme.codeBytes(columns: columns))
    let scaleBytes = scheme.scaleBytes(rows: rows, columns: columns, type: .bf16)
    let scales = ByteBuffer(count: scaleBytes)
    let offsets = ByteBuffer(count: scheme.offsetBytes(rows: rows, columns: columns, type: .bf16))
    let hasOffsets = scheme.offsets != .none
    GroupQuantizer(scheme, globalScale: global).quantize(
      UnsafeRawBufferPointer(source.bytes), type: .bf16, rows: rows, columns: columns,
      into: GroupOutput(
        codes: codes.bytes, scales: scales.bytes, offsets: hasOffsets ? offsets.bytes : nil))
    let grid = scheme.blockScales(
      UnsafeRawBufferPointer(scales.bytes), scaleType: scheme.scaleType(of: .bf16),
      offsets: hasOffsets ? UnsafeRawBufferPointer(offsets.bytes) : nil, rows: rows,
      columns: columns, globalScale: global)
    return signalToNoise(
      decoded(codes, scheme.code, grid, rowBytes: scheme.codeBytes(columns: columns)))
  }

  /// Of E4M3 with a scale for each block.
  func signalToNoise(of quantizer: BlockQuantizer) -> Double? {
    let source = asBF16
    let (rows, columns) = (Self.rows, Self.columns)
    var scales = [Float](
      repeating: 0,
      count: quantizer.gridRows(rows: rows) * quantizer.gridColumns(columns: columns))
    let codes = ByteBuffer(count: rows * columns)
    let bytes = UnsafeRawBufferPointer(source.bytes)
    scales.withUnsafeMutableBufferPointer {
      quantizer.findScales(bytes, type: .bf16, rows: rows, columns: columns, into: $0)
    }
    scales.withUnsafeBufferPointer {
      quantizer.encode(
        bytes, type: .bf16, rows: rows, columns: columns, scales: $0, into: codes.bytes)
    }
    let grid = BlockScales(
      values: scales, blockRows: quantizer.blockRows, blockColumns: quantizer.blockColumns)
    return signalToNoise(decoded(codes, .f8E4M3, grid, rowBytes: columns))
  }

  /// The values in 16 bits, as checkpoints have them.
  private var asBF16: ByteBuffer {
    let bytes = ByteBuffer(count: 2 * values.count)
    values.withUnsafeBufferPointer {
      Codec.codec(for: .bf16)?.encode($0, into: bytes.bytes)
    }
    return bytes
  }

  private func decoded(
    _ codes: ByteBuffer, _ type: ElementType, _ scales: BlockScales, rowBytes: Int
  ) -> [Float] {
    Self.read(values.count) {
      scales.decode(
        UnsafeRawBufferPointer(codes.bytes), type: type,
        tile: MatrixTile(rows: 0..<Self.rows, width: Self.columns), rowBytes: rowBytes, into: $0)
    }
  }

  private static func read(
    _ count: Int, _ decode: (UnsafeMutableBufferPointer<Float>) -> Void
  ) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      decode(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      initialized = count
    }
  }
}
