import Codecs
import Dispatch
import Glibc
import Tensors

/// Speeds of the kernels on one thread, each level of this machine, best of several runs.
///
/// Run it with `scripts/bench-kernels`. GB/s count the bytes read, G elements/s those quantized; the share is that of a
/// packed product that stays in the cache (about 97 % of what multiply-adds alone reach).
/// With `--peak` it prints that rate alone, of all processors together, as JSON.
@main
struct KernelBench {
  static func main() {
    if CommandLine.arguments.dropFirst().first == "--peak" {
      print("{\"peak\": \(Int(machinePeak() * 1e9))}")
      return
    }
    for level in KernelLevel.available where level != .plain {
      print("\(level)")
      for target in [ElementType.bf16, .f16, .f32] {
        report("FP8 with scales → \(target.rawValue)", dequantize(to: target, level), "GB/s")
      }
      for scaleFormat in [BlockQuantizer.ScaleFormat.f32, .powerOfTwo, .sourceType] {
        report("BF16 → FP8, scales \(scaleFormat)", quantize(scaleFormat, level), "GB/s")
      }
      report("BF16 → F16", cast(from: .bf16, to: .f16, level), "GB/s")
      report("F32 → BF16", cast(from: .f32, to: .bf16, level), "GB/s")
      for scheme in GroupScheme.table {
        let rate = quantize(scheme, level)
        report("BF16 → \(scheme)", rate, "G elements/s, decoded \(round(decode(scheme, level)))")
      }
      for codec in Codec.table where codec.type.isBlock && codec.isWritable {
        let rate = encode(codec, level)
        report("F32 → \(codec.type.rawValue) with importance", 1000 * rate, "M elements/s")
      }
      let peak = peakRate(level)
      report("480 rows × packed (256, 256)", peak, "GFLOP/s")
      for type in [ElementType.f32, .bf16, .f8E4M3, .u4, .q4K, .q6K, .q80, .iq4XS] {
        for tokens in [512, 128, 32, 1] {
          let rate = product(tokens: tokens, type, level)
          let share = Int((100 * rate / peak).rounded())
          let bytes = rate / Double(2 * tokens) * Double(type.byteOffset(of: 256)) / 256
          report(
            "\(tokens) tokens × \(type.rawValue) (2048, 2048)", rate,
            "GFLOP/s, \(share) %, \(round(bytes)) GB/s of weights")
        }
      }
    }
  }

  static func report(_ what: String, _ rate: Double, _ unit: String) {
    let padding = String(repeating: " ", count: max(0, 36 - what.count))
    print("  \(what)\(padding) \(round(rate)) \(unit)")
  }

  private static func round(_ rate: Double) -> Double { (rate * 10).rounded() / 10 }

  /// `work` divided by the shortest of several times, in 10⁹ per second.
  static func rate(_ work: Double, _ body: () -> Void) -> Double {
    var best = Double.infinity
    for _ in 0..<7 {
      let start = processorTime()
      body()
      best = min(best, processorTime() - start)
    }
    return work / best / 1e9
  }

  /// Seconds that this thread has had: a busy machine disturbs them less than the clock.
  private static func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  static func filled(_ count: Int) -> ByteBuffer {
    let buffer = ByteBuffer(count: count)
    // Codes of ordinary numbers in every type: exponents in the middle of the range.
    for index in 0..<count { buffer.bytes[index] = UInt8(0x30 + index * 7 % 16) }
    return buffer
  }

  static let (rows, columns) = (1024, 7168)

  private static func dequantize(to target: ElementType, _ level: KernelLevel) -> Double {
    let codes = filled(rows * columns)
    let result = filled(rows * columns * target.bits / 8)
    let scales = BlockScales(
      values: [Float](repeating: 3e-4, count: 8 * 56), blockRows: 128, blockColumns: 128)
    return rate(Double(rows * columns)) {
      scales.convert(
        UnsafeRawBufferPointer(codes.bytes), type: .f8E4M3,
        tile: MatrixTile(rows: 0..<rows, width: columns), to: target, into: result.bytes,
        level: level)
    }
  }

  private static func quantize(
    _ scaleFormat: BlockQuantizer.ScaleFormat, _ level: KernelLevel
  ) -> Double {
    let weights = filled(2 * rows * columns)
    let codes = filled(rows * columns)
    let scales = filled(4 * 8 * 56)
    let grid = scales.bytes.assumingMemoryBound(to: Float.self)
    let quantizer = BlockQuantizer(blockRows: 128, blockColumns: 128, scaleFormat: scaleFormat)
    let source = UnsafeRawBufferPointer(weights.bytes)
    return rate(Double(2 * rows * columns)) {
      quantizer.findScales(
        source, type: .bf16, rows: rows, columns: columns, into: grid, level: level)
      quantizer.encode(
        source, type: .bf16, rows: rows, columns: columns, scales: UnsafeBufferPointer(grid),
        into: codes.bytes, level: level)
    }
  }

  private static func cast(
    from source: ElementType, to target: ElementType, _ level: KernelLevel
  ) -> Double {
    let count = rows * columns
    let (bytes, result) = (filled(count * source.bits / 8), filled(count * target.bits / 8))
    guard let from = Codec.codec(for: source), let to = Codec.codec(for: target) else { return 0 }
    return rate(Double(bytes.count)) {
      from.convert(
        UnsafeRawBufferPointer(bytes.bytes), count: count, to: to, into: result.bytes,
        level: level)
    }
  }

  /// A packed product that stays in the second-level cache: nothing but the kernel counts.
  private struct PeakProduct {
    private static let (rows, size, repeats) = (480, 256, 8)
    private static let stride = 272
    static let operations = 2.0 * Double(rows * size * size * repeats)
    private let packed: PackedMatrix
    private let memory = (filled(4 * size * size), filled(4 * rows * stride))
    private let result = filled(4 * rows * size)

    init(_ level: KernelLevel) {
      packed = PackedMatrix(
        mostDepth: Self.size, mostColumns: Self.size, scratch: ProductScratch(), level: level)
      packed.pack(FloatMatrix(floats(memory.0), rows: Self.size, columns: Self.size))
    }

    func run() {
      let left = FloatMatrix(
        floats(memory.1), rows: Self.rows, columns: Self.size, stride: Self.stride)
      let target = MutableFloatMatrix(floats(result), rows: Self.rows, columns: Self.size)
      for _ in 0..<Self.repeats { packed.multiply(left, into: target) }
    }
  }

  static func floats(_ buffer: ByteBuffer) -> UnsafeMutablePointer<Float> {
    buffer.bytes.assumingMemoryBound(to: Float.self).baseAddress!
  }

  private static func peakRate(_ level: KernelLevel) -> Double {
    let product = PeakProduct(level)
    return rate(PeakProduct.operations) { product.run() }
  }

  /// What all processors reach together, in 10⁹ operations a second: the best of several times.
  private static func machinePeak() -> Double {
    let threads = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    let repeats = 20
    let clock = ContinuousClock()
    var best = 0.0
    for _ in 0..<10 {
      let start = clock.now
      DispatchQueue.concurrentPerform(iterations: threads) { _ in
        let product = PeakProduct(.best)
        for _ in 0..<repeats { product.run() }
      }
      let seconds = (clock.now - start) / .seconds(1)
      best = max(best, PeakProduct.operations * Double(repeats * threads) / seconds / 1e9)
    }
    return best
  }

  /// x (tokens, size) · W (size, size)ᵀ
  private static func product(
    tokens: Int, _ type: ElementType, _ level: KernelLevel, size: Int = 2048
  ) -> Double {
    let x = filled(4 * tokens * size)
    let y = filled(4 * tokens * size)
    let weights = WeightMatrix(
      type: type, rows: size, columns: size, storage: filled(type.byteOffset(of: size * size)),
      scales: scales(of: type, size: size))
    let input = FloatMatrix(floats(x), rows: tokens, columns: size)
    let output = MutableFloatMatrix(floats(y), rows: tokens, columns: size)
    let scratch = ProductScratch()
    return rate(2 * Double(tokens * size) * Double(size)) {
      MatrixProduct.multiply(
        input, weights, rows: 0..<size, into: output, scratch: scratch, level: level)
    }
  }

  /// FP8 in blocks of 128 × 128, packed codes in groups of 64 with biases, as MLX has them.
  private static func scales(of type: ElementType, size: Int) -> BlockScales? {
    let grid = (size + 127) / 128
    return switch type {
    case .f8E4M3:
      BlockScales(
        values: [Float](repeating: 0.1, count: grid * grid), blockRows: 128, blockColumns: 128)
    case .u4:
      BlockScales(
        values: [Float](repeating: 0.1, count: size * size / 64),
        offset: .biases([Float](repeating: -0.8, count: size * size / 64)), blockRows: 1,
        blockColumns: 64)
    default: nil
    }
  }
}
