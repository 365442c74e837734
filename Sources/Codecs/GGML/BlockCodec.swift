internal import CKernels
internal import Tensors

/// What an importance matrix says about one block: a weight per element, and the mean square of the
/// whole row, which some types mix into the weights.
struct BlockImportance {
  let weights: UnsafePointer<Float>
  let rowMeanSquare: Float

  /// The weight of an element that `x` holds: importance · √(meanSquare + x²).
  @inline(__always)
  func weight(_ index: Int, _ x: Float, meanSquare: Float) -> Float {
    weights[index] * (meanSquare + x * x).squareRoot()
  }
}

/// One block type of GGML: how a block turns into F32 values and, where Fathom writes it, back.
///
/// The closures are the readable truth, identical to llama.cpp on x86-64 byte for byte: IEEE single
/// precision, every product and sum rounded, in llama.cpp's order. A kernel that `fathom_ggml_…`
/// offers for a level must equal them. Blocks do not depend on one another, except that with an
/// importance matrix some types look at the mean square of their row.
struct BlockCodec: Sendable {
  typealias Decode = @Sendable (UnsafePointer<UInt8>, UnsafeMutablePointer<Float>) -> Void
  typealias Encode =
    @Sendable (UnsafePointer<Float>, BlockImportance?, UnsafeMutablePointer<UInt8>) -> Void

  let type: ElementType
  let layout: BlockLayout
  let decode: Decode
  let encode: Encode?

  init(_ type: ElementType, decode: @escaping Decode, encode: Encode? = nil) {
    guard let layout = type.block else { preconditionFailure("\(type.rawValue) has no blocks") }
    self.type = type
    self.layout = layout
    self.decode = decode
    self.encode = encode
  }

  /// Every block type, one row each.
  static let table: [BlockCodec] = [
    .q40, .q41, .q50, .q51, .q80, .q2K, .q3K, .q4K, .q5K, .q6K, .iq4NL, .iq4XS, .tq10, .tq20,
    .mxfp4, .nvfp4, .q10, .q20, .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S,
  ]

  static let byType = Dictionary(uniqueKeysWithValues: table.map { ($0.type, $0) })

  /// This row as one of the table of all types, where blocks are encoded without importance.
  var codec: Codec {
    let decoding: Codec.Decode = { bytes, values, level in
      decodeBlocks(bytes.bindMemory(to: UInt8.self).baseAddress!, into: values, level)
    }
    guard encode != nil else { return Codec(type, decode: decoding) }
    return Codec(type, decode: decoding) { values, bytes, level in
      encodeRow(values, importance: nil, into: bytes, level)
    }
  }

  private func decodeBlocks(
    _ bytes: UnsafePointer<UInt8>, into values: UnsafeMutableBufferPointer<Float>,
    _ level: KernelLevel
  ) {
    let (count, target) = (values.count / layout.elements, values.baseAddress!)
    if let kernel = fathom_ggml_decoder(layout.id, level.rawValue) {
      kernel(bytes, count, target)
      return
    }
    for block in 0..<count {
      decode(bytes + block * layout.bytes, target + block * layout.elements)
    }
  }

  /// values (one row, or any number of blocks where there is no importance) → blocks
  func encodeRow(
    _ values: UnsafeBufferPointer<Float>, importance: UnsafePointer<Float>?,
    into bytes: UnsafeMutableRawBufferPointer, _ level: KernelLevel
  ) {
    guard let encode else { preconditionFailure("\(type.rawValue) is not written") }
    let target = bytes.bindMemory(to: UInt8.self).baseAddress!
    let (count, source) = (values.count / layout.elements, values.baseAddress!)
    if let kernel = fathom_ggml_encoder(layout.id, level.rawValue, importance != nil) {
      kernel(source, importance, count, target)
      return
    }
    if let grid, let kernel = fathom_grid_encoder(layout.id, level.rawValue) {
      encodeRow(source, importance, count, into: target, grid, kernel)
      return
    }
    var meanSquare: Float = 0
    if importance != nil {
      for value in values { meanSquare += value * value }
      meanSquare /= Float(values.count)
    }
    for block in 0..<count {
      let start = block * layout.elements
      encode(
        source + start,
        importance.map { BlockImportance(weights: $0 + start, rowMeanSquare: meanSquare) },
        target + block * layout.bytes)
    }
  }
}

extension BlockCodec {
  /// The points that the codes of a type are taken from.
  private var grid: PointGrid? {
    switch type {
    case .iq1S, .iq1M: .iq1
    case .iq2XXS: .iq2XXS
    case .iq2XS: .iq2XS
    case .iq2S: .iq2S
    case .iq3XXS: .iq3XXS
    case .iq3S: .iq3S
    default: nil
    }
  }

  /// By a kernel, and by the plain twin what the kernel leaves to it. Types with a grid do not look
  /// beyond the block.
  private func encodeRow(
    _ source: UnsafePointer<Float>, _ importance: UnsafePointer<Float>?, _ count: Int,
    into target: UnsafeMutablePointer<UInt8>, _ grid: PointGrid, _ kernel: fathom_grid_encode
  ) {
    grid.withPointers { grid in
      var done = 0
      while done < count {
        let start = done * layout.elements
        done += kernel(
          source + start, importance.map { $0 + start }, count - done, grid,
          target + done * layout.bytes)
        guard done < count else { return }
        let left = done * layout.elements
        encode?(
          source + left,
          importance.map { BlockImportance(weights: $0 + left, rowMeanSquare: 0) },
          target + done * layout.bytes)
        done += 1
      }
    }
  }
}

extension Codec {
  /// values (rows, columns) → bytes (rows, columns) of `type`, identical to llama.cpp on x86-64.
  ///
  /// `importance` weighs the columns (columns), or is nil. Types that take no heed of importance
  /// ignore it, as llama.cpp does: Q8_0, TQ1_0, TQ2_0, MXFP4, NVFP4 and all types without blocks.
  /// Rows do not depend on one another, so a caller may hand over any number of them at a time.
  package func encode(
    _ values: UnsafeBufferPointer<Float>, columns: Int,
    importance: UnsafeBufferPointer<Float>?, into bytes: UnsafeMutableRawBufferPointer,
    level: KernelLevel = .best
  ) {
    precondition(columns > 0 && values.count % columns == 0)
    precondition(importance.map { $0.count == columns } ?? true)
    guard let importance, let block = BlockCodec.byType[type] else {
      encode(values, into: bytes, level: level)
      return
    }
    guard let rowBytes = type.byteCount(elements: columns) else {
      preconditionFailure("\(columns) columns are no whole number of \(type.rawValue) blocks")
    }
    precondition(bytes.count == values.count / columns * rowBytes)
    for row in 0..<values.count / columns {
      block.encodeRow(
        UnsafeBufferPointer(rebasing: values[row * columns..<(row + 1) * columns]),
        importance: importance.baseAddress!,
        into: UnsafeMutableRawBufferPointer(
          rebasing: bytes[row * rowBytes..<(row + 1) * rowBytes]), level)
    }
  }
}
