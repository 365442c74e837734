internal import CKernels
internal import Tensors

/// Quantizes the rows of a matrix, some whole groups at a time.
struct GroupWork {
  private let arithmetic: GroupArithmetic
  private let source: UnsafeRawBufferPointer
  private let codec: Codec
  private let columns: Int
  private let group: Int
  private let level: KernelLevel
  private let kernels: UnsafePointer<fathom_group_kernels>?
  private let quantize: fathom_group_quantize?

  init(
    arithmetic: GroupArithmetic, source: UnsafeRawBufferPointer, codec: Codec, columns: Int,
    level: KernelLevel
  ) {
    self.arithmetic = arithmetic
    self.source = source
    self.codec = codec
    self.columns = columns
    self.level = level
    group = arithmetic.scheme.group ?? columns
    kernels = fathom_groups_at(level.rawValue)
    quantize = kernels.map { $0.pointee.quantizer(arithmetic.scheme, arithmetic.precision) }
  }

  /// Values and codes on their way, one to an element.
  typealias Room = (values: UnsafeMutablePointer<Float>, codes: UnsafeMutablePointer<UInt8>)

  /// Elements that are quantized at a time, 8 KiB of values: more only where a group is larger. Their
  /// codes fill whole bytes, unless they are a whole row.
  private var chunk: Int { min(columns, max(1, 2048 / group) * group) }

  func withRoom(_ body: (Room) -> Void) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: chunk) { values in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: chunk) { codes in
        body((values.baseAddress!, codes.baseAddress!))
      }
    }
  }

  /// One row → codes as they are packed, scales and offsets (groups) in F32
  func run(
    row: Int, _ room: Room, codes: UnsafeMutableRawBufferPointer?,
    scales: UnsafeMutableBufferPointer<Float>, offsets: UnsafeMutableBufferPointer<Float>
  ) {
    let (step, bits) = (codec.type.bits / 8, arithmetic.scheme.code.bits)
    if let codes {
      // What is left over of the last word.
      let spanned = (columns * bits + 7) / 8
      UnsafeMutableRawBufferPointer(rebasing: codes[spanned...])
        .initializeMemory(as: UInt8.self, repeating: 0)
    }
    for start in stride(from: 0, to: columns, by: chunk) {
      let count = min(chunk, columns - start)
      let from = (row * columns + start) * step
      let values = UnsafeMutableBufferPointer(start: room.values, count: count)
      codec.decodeUnchecked(
        UnsafeRawBufferPointer(rebasing: source[from..<from + count * step]), into: values,
        level: level)
      let target = codes.map { $0.baseAddress! + start / 8 * bits }
      run(
        UnsafeBufferPointer(values), room.codes, target, scales.baseAddress! + start / group,
        offsets.baseAddress! + start / group)
    }
  }

  private func run(
    _ values: UnsafeBufferPointer<Float>, _ bytes: UnsafeMutablePointer<UInt8>,
    _ codes: UnsafeMutableRawPointer?, _ scales: UnsafeMutablePointer<Float>,
    _ offsets: UnsafeMutablePointer<Float>
  ) {
    let bits = arithmetic.scheme.code.bits
    if let kernels, let quantize {
      var task = fathom_group_task(
        group: group, bits: Int32(bits), global_scale: arithmetic.globalScale)
      let isPacked = bits < 8
      let target = codes?.assumingMemoryBound(to: UInt8.self)
      quantize(
        values.baseAddress!, values.count / group, &task,
        target.map { isPacked ? bytes : $0 }, scales, offsets)
      if isPacked, let target {
        kernels.pointee.pack(bytes, values.count, Int32(bits), target)
      }
      return
    }
    for index in 0..<values.count / group {
      let part = UnsafeBufferPointer(rebasing: values[index * group..<(index + 1) * group])
      let numbers = arithmetic.numbers(part)
      scales[index] = numbers.scale
      offsets[index] = numbers.offset
      guard codes != nil else { continue }
      for place in 0..<group {
        bytes[index * group + place] = arithmetic.code(part[place], numbers)
      }
    }
    if let codes {
      BitStream.pack(
        UnsafeBufferPointer(start: bytes, count: values.count), bits: bits,
        into: UnsafeMutableRawBufferPointer(start: codes, count: (values.count * bits + 7) / 8))
    }
  }
}

extension fathom_group_kernels {
  /// The kernel of a scheme.
  func quantizer(_ scheme: GroupScheme, _ precision: Precision) -> fathom_group_quantize {
    let row =
      switch scheme.method {
      case .mlxAffine: quantize.0
      case .mlxPowerOfTwo: scheme.code == .f4 ? quantize.1 : quantize.2
      case .mlxE4M3: quantize.3
      case .symmetric: quantize.4
      case .asymmetric: quantize.5
      case .powerOfTwo: quantize.6
      case .e4m3: quantize.7
      case .modelOpt: quantize.8
      }
    return switch precision {
    case .f32: row.0
    case .f16: row.1
    case .bf16: row.2
    }
  }
}
