internal import CKernels
package import Tensors

/// Where the parts of quantized rows go; a part that is nil is not written.
package struct GroupOutput {
  /// rows × `GroupScheme.codeBytes`
  package var codes: UnsafeMutableRawBufferPointer?
  /// (rows, groups) of `GroupScheme.scaleType`
  package var scales: UnsafeMutableRawBufferPointer?
  /// Biases or zero points, see `GroupScheme.offsetBytes`
  package var offsets: UnsafeMutableRawBufferPointer?

  /// Names the parts that are wanted.
  package init(
    codes: UnsafeMutableRawBufferPointer? = nil, scales: UnsafeMutableRawBufferPointer? = nil,
    offsets: UnsafeMutableRawBufferPointer? = nil
  ) {
    self.codes = codes
    self.scales = scales
    self.offsets = offsets
  }
}

/// Turns whole rows of weights into codes, scales and offsets by a scheme: the bytes of mlx 0.32.4 on
/// x86-64, of compressed-tensors 0.20 with llm-compressor's observer of least and largest weights, and
/// of ModelOpt 0.47.
///
/// Each part can be computed alone, and rows do not depend on one another. Only where a peer loses
/// a whole group at the end of its type's range is the result another: see `GroupScheme.Method`'s
/// powers of two.
package struct GroupQuantizer: Sendable {
  /// What is computed.
  package let scheme: GroupScheme
  /// NVFP4's global scale, by which scales are multiplied before they are rounded, or ModelOpt's, by
  /// which they are divided.
  package let globalScale: Float

  /// - Parameter globalScale: for NVFP4 alone, see `globalScale(_:largest:type:)`.
  package init(_ scheme: GroupScheme, globalScale: Float = 1) {
    precondition(globalScale > 0 && globalScale.isFinite)
    self.scheme = scheme
    self.globalScale = globalScale
  }

  /// NVFP4's global scale of weights of a type, by their largest magnitude: of one matrix, or of all
  /// that an engine joins to one.
  package static func globalScale(
    _ scheme: GroupScheme, largest: Float, type: ElementType
  ) -> Float {
    guard let precision = Precision(type) else {
      preconditionFailure("\(type.rawValue) is not quantized")
    }
    return switch scheme.method {
    case .e4m3: GroupArithmetic.globalScale(largest: largest, precision)
    case .modelOpt: GroupArithmetic.modelOptGlobalScale(largest: largest)
    default: 1
    }
  }

  /// source (rows, columns) of `type` (F32, F16 or BF16) → the parts that `output` names
  ///
  /// Columns must be whole groups, and the first row of zero points a multiple of
  /// `GroupScheme.bandRows`.
  package func quantize(
    _ source: UnsafeRawBufferPointer, type: ElementType, rows: Int, columns: Int,
    into output: GroupOutput, level: KernelLevel = .best
  ) {
    guard let precision = Precision(type), let codec = Codec.codec(for: type) else {
      preconditionFailure("\(type.rawValue) is not quantized")
    }
    precondition(scheme.divides(columns: columns))
    precondition(source.count == type.byteCount(elements: rows * columns))
    let (codeBytes, groups) = (scheme.codeBytes(columns: columns), scheme.groups(columns: columns))
    precondition((output.codes?.count ?? rows * codeBytes) == rows * codeBytes)
    let work = GroupWork(
      arithmetic: GroupArithmetic(scheme: scheme, precision: precision, globalScale: globalScale),
      source: source, codec: codec, columns: columns, level: level)
    let parts = GroupParts(
      rows: rows, groups: groups, scheme: scheme, type: type, output, level: level)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * groups) { memory in
      let scales = UnsafeMutableBufferPointer(rebasing: memory[..<groups])
      let offsets = UnsafeMutableBufferPointer(rebasing: memory[groups...])
      work.withRoom { room in
        for row in 0..<rows {
          let codes = output.codes.map {
            UnsafeMutableRawBufferPointer(rebasing: $0[row * codeBytes..<(row + 1) * codeBytes])
          }
          work.run(row: row, room, codes: codes, scales: scales, offsets: offsets)
          parts.store(
            row: row, scales: UnsafeBufferPointer(scales), offsets: UnsafeBufferPointer(offsets))
        }
      }
    }
  }
}

/// Stores the numbers of rows in the types that they have in files.
struct GroupParts {
  private let groups: Int
  private let output: GroupOutput
  private let scaleCodec: Codec
  private let scaleBytes: Int
  private let offsetCodec: Codec
  private let offsetBytes: Int
  /// nil where offsets are not packed along the rows.
  private let zeroBits: Int?
  private let level: KernelLevel

  init(
    rows: Int, groups: Int, scheme: GroupScheme, type: ElementType, _ output: GroupOutput,
    level: KernelLevel
  ) {
    let scaleType = scheme.scaleType(of: type)
    guard let scales = Codec.codec(for: scaleType), let offsets = Codec.codec(for: type) else {
      preconditionFailure("\(scaleType.rawValue) has no codec")
    }
    self.groups = groups
    self.output = output
    self.level = level
    (scaleCodec, offsetCodec) = (scales, offsets)
    (scaleBytes, offsetBytes) = (groups * scaleType.bits / 8, groups * type.bits / 8)
    zeroBits = scheme.offsets == .zeroPoints ? scheme.code.bits : nil
    precondition((output.scales?.count ?? rows * scaleBytes) == rows * scaleBytes)
    if let target = output.offsets {
      precondition(scheme.offsets != .none)
      let words = zeroBits.map { (rows * $0 + 31) / 32 * 4 * groups }
      precondition(target.count == words ?? rows * offsetBytes)
      target.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }

  func store(
    row: Int, scales: UnsafeBufferPointer<Float>, offsets: UnsafeBufferPointer<Float>
  ) {
    if let target = output.scales {
      scaleCodec.encode(
        scales,
        into: UnsafeMutableRawBufferPointer(
          rebasing: target[row * scaleBytes..<(row + 1) * scaleBytes]), level: level)
    }
    guard let target = output.offsets else { return }
    guard let zeroBits else {
      offsetCodec.encode(
        offsets,
        into: UnsafeMutableRawBufferPointer(
          rebasing: target[row * offsetBytes..<(row + 1) * offsetBytes]), level: level)
      return
    }
    // Along the rows: a word holds the zero points of so many rows of one group.
    let (word, place) = (row * zeroBits).quotientAndRemainder(dividingBy: 32)
    let bytes = target.baseAddress! + 4 * word * groups + place / 8
    let (half, shift) = (Float(1 << (zeroBits - 1)), UInt8(place % 8))
    for group in 0..<groups {
      let code = UInt8(truncatingIfNeeded: Int32(offsets[group] + half)) &<< shift
      let byte = bytes.loadUnaligned(fromByteOffset: 4 * group, as: UInt8.self)
      bytes.storeBytes(of: byte | code, toByteOffset: 4 * group, as: UInt8.self)
    }
  }
}
