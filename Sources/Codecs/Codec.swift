package import Tensors

/// How one element type turns into F32 values and, where Fathom writes it, back.
///
/// The bytes depend neither on the kernel level nor on how a tensor is cut into pieces. Stored bytes
/// are little-endian and need no alignment. Where elements stand alone every conversion rounds at
/// most once, to nearest with ties to even; block types (`ElementType.block`) are converted in whole
/// blocks, identical to llama.cpp on x86-64, and with importance by `encode(_:columns:…)`.
package struct Codec: Sendable {
  typealias Decode =
    @Sendable (UnsafeRawBufferPointer, UnsafeMutableBufferPointer<Float>, KernelLevel) -> Void
  typealias Encode =
    @Sendable (UnsafeBufferPointer<Float>, UnsafeMutableRawBufferPointer, KernelLevel) -> Void

  /// The element type that this row of the table is about.
  package let type: ElementType
  /// Whether F32 holds every value of the type; otherwise decoding rounds.
  package let isExact: Bool
  private let decoding: Decode
  private let encoding: Encode?

  init(
    _ type: ElementType, isExact: Bool = true, decode: @escaping Decode, encode: Encode? = nil
  ) {
    self.type = type
    self.isExact = isExact
    self.decoding = decode
    self.encoding = encode
  }

  /// Whether `encode` may be called: a type that can be named is not yet one that is written.
  package var isWritable: Bool { encoding != nil }

  /// Whether elements are written only with an importance for every column: ggml ends the process
  /// without one.
  package var needsImportance: Bool {
    switch type {
    case .iq1S, .iq2XXS, .iq2XS: true
    default: false
    }
  }

  /// bytes (n elements of `type`) → values (n)
  package func decode(
    _ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>,
    level: KernelLevel = .best
  ) {
    precondition(type.byteCount(elements: values.count) == bytes.count)
    guard !values.isEmpty else { return }
    decoding(bytes, values, level)
  }

  /// The same where the caller knows that the sizes agree, n > 0.
  func decodeUnchecked(
    _ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>,
    level: KernelLevel
  ) {
    decoding(bytes, values, level)
  }

  /// values (n) → bytes (n elements of `type`), rounded to nearest, ties to even.
  ///
  /// Callable only where `isWritable` and not `needsImportance`. Overflow becomes infinity, or the
  /// largest number in a type without one.
  package func encode(
    _ values: UnsafeBufferPointer<Float>, into bytes: UnsafeMutableRawBufferPointer,
    level: KernelLevel = .best
  ) {
    guard let encoding, !needsImportance else {
      preconditionFailure("\(type.rawValue) is not written without importance")
    }
    precondition(type.byteCount(elements: values.count) == bytes.count)
    guard !values.isEmpty else { return }
    encoding(values, bytes, level)
  }

  /// Every type that can be decoded, one row each.
  package static let table: [Codec] =
    [f32, f64, f16, bf16, e4m3, e5m2, e8m0, f4] + fp6 + fnuz + integers + packedCodes
    + BlockCodec.table.map(\.codec)

  /// The codec of a type; nil for C64, whose elements are not real numbers.
  package static func codec(for type: ElementType) -> Codec? { byType[type] }

  private static let byType = Dictionary(uniqueKeysWithValues: table.map { ($0.type, $0) })

  /// Elements converted at a time: 8 KiB as F32, which stays in the first-level cache.
  private static let chunk = 2048

  /// source (n elements of `self.type`) → target (n elements of `other.type`), through F32.
  ///
  /// Equal types are copied byte for byte.
  package func convert(
    _ source: UnsafeRawBufferPointer, count: Int, to other: Codec,
    into target: UnsafeMutableRawBufferPointer, level: KernelLevel = .best
  ) {
    precondition(type.byteCount(elements: count) == source.count)
    precondition(other.type.byteCount(elements: count) == target.count)
    if type == other.type {
      target.copyMemory(from: source)
      return
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: min(count, Codec.chunk)) { values in
      for start in stride(from: 0, to: count, by: Codec.chunk) {
        let end = min(start + Codec.chunk, count)
        let part = UnsafeMutableBufferPointer(rebasing: values[..<(end - start)])
        let (from, to) = (type.byteOffset(of: start), type.byteOffset(of: end))
        decode(UnsafeRawBufferPointer(rebasing: source[from..<to]), into: part, level: level)
        let (first, last) = (other.type.byteOffset(of: start), other.type.byteOffset(of: end))
        other.encode(
          UnsafeBufferPointer(part),
          into: UnsafeMutableRawBufferPointer(rebasing: target[first..<last]), level: level)
      }
    }
  }

  /// The largest magnitude among elements that fill whole bytes or blocks: NaN where one is there,
  /// since no number is larger; 0 of none.
  package func largestMagnitude(
    _ bytes: UnsafeRawBufferPointer, level: KernelLevel = .best
  ) -> Float {
    let step = type.byteOffset(of: Codec.chunk)
    var largest: UInt32 = 0
    withUnsafeTemporaryAllocation(of: Float.self, capacity: Codec.chunk) { values in
      for start in stride(from: 0, to: bytes.count, by: step) {
        let part = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + step, bytes.count)])
        let count = part.count * Codec.chunk / step
        let numbers = UnsafeMutableBufferPointer(rebasing: values[..<count])
        decode(part, into: numbers, level: level)
        largest = max(
          largest, BlockQuantizer.largestMagnitude(UnsafeBufferPointer(numbers), level))
      }
    }
    return Float(bitPattern: largest)
  }
}
