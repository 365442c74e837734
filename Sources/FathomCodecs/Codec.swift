internal import Codecs
internal import Tensors

/// How the elements of one type turn into F32 numbers, and back.
///
/// Bytes are little-endian and need no alignment. Where elements stand alone each conversion rounds
/// at most once, to nearest, ties to even, and gives torch's bytes; the block types give llama.cpp's
/// on x86-64, with an importance for every column or without. The vector kernels that the machine
/// has are used, and change no bit.
public struct Codec: Sendable {
  private let inner: Codecs.Codec

  private init(_ inner: Codecs.Codec) { self.inner = inner }

  /// Every type that can be decoded: those of safetensors and GGUF files, and unsigned integers of 2
  /// to 6 bits as quantized weights have them (`U4`).
  public static let all = Codecs.Codec.table.map { Codec($0) }

  /// The codec of the type of that name: `BF16`, `F8_E4M3`, `Q4_K`; nil where there is none.
  public init?(named name: String) {
    guard let type = ElementType(rawValue: name), let inner = Codecs.Codec.codec(for: type) else {
      return nil
    }
    self.init(inner)
  }

  /// The type's name.
  public var name: String { inner.type.rawValue }

  /// Elements that are stored together, of which a row is a whole number: 1 for types whose elements
  /// stand alone.
  public var blockElements: Int { inner.type.blockElements }

  /// Whether F32 holds every number of the type; otherwise decoding rounds.
  public var isExact: Bool { inner.isExact }

  /// Whether the type can be encoded.
  public var isWritable: Bool { inner.isWritable }

  /// Whether it is encoded with an importance for every column alone, as llama.cpp has it.
  public var needsImportance: Bool { inner.needsImportance }

  /// Bytes that so many elements take; nil where they do not fill whole bytes or blocks, or overflow.
  public func byteCount(elements: Int) -> Int? { inner.type.byteCount(elements: elements) }

  /// Elements that so many bytes hold; nil where they hold no whole number of them, or of blocks.
  public func elementCount(bytes: Int) -> Int? {
    // 8 elements of any type without blocks fill whole bytes.
    let unit = inner.type.isBlock ? blockElements : 8
    guard bytes >= 0, let unitBytes = byteCount(elements: unit) else { return nil }
    let (product, overflow) = bytes.multipliedReportingOverflow(by: unit)
    let count = product / unitBytes
    return !overflow && byteCount(elements: count) == bytes ? count : nil
  }
}

extension Codec {
  /// bytes (n elements) → numbers (n)
  ///
  /// - Throws: where the bytes hold no whole number of elements or blocks.
  public func decode(_ bytes: [UInt8]) throws(CodecError) -> [Float] {
    guard let count = elementCount(bytes: bytes.count) else {
      throw CodecError(
        name, "is given a part of an element or block", found: "\(bytes.count) bytes")
    }
    var numbers = [Float](repeating: 0, count: count)
    var span = numbers.mutableSpan
    try decode(bytes.span.bytes, into: &span)
    return numbers
  }

  /// bytes (n elements) → numbers (n), where they lie already
  ///
  /// - Throws: where bytes and numbers are not of equally many elements.
  public func decode(
    _ bytes: RawSpan, into numbers: inout MutableSpan<Float>
  ) throws(CodecError) {
    try require(bytes.byteCount, forElements: numbers.count)
    bytes.withUnsafeBytes { bytes in
      numbers.withUnsafeMutableBufferPointer { inner.decode(bytes, into: $0) }
    }
  }

  /// numbers (n) → bytes (n elements)
  ///
  /// Beyond the largest number lies infinity, or in a type without one that number. Where a block's
  /// scale is not finite, as with numbers that are not or that are too large, `firstNotFinite` tells.
  ///
  /// - Throws: where the type cannot be encoded, or not without importance, or where the numbers fill
  ///   no whole bytes or blocks.
  public func encode(_ numbers: [Float]) throws(CodecError) -> [UInt8] {
    try requireWritable()
    guard !needsImportance else {
      throw CodecError(name, "is encoded with an importance for every column alone")
    }
    var bytes = try room(forElements: numbers.count)
    numbers.withUnsafeBufferPointer { numbers in
      bytes.withUnsafeMutableBytes { inner.encode(numbers, into: $0) }
    }
    return bytes
  }

  /// numbers (rows, columns) → bytes (rows, columns), each column weighed by its importance
  ///
  /// Types that take no heed of importance ignore it, as llama.cpp does: Q8_0, TQ1_0, TQ2_0, MXFP4,
  /// NVFP4 and all without blocks. Rows do not depend on one another.
  ///
  /// - Parameters:
  ///   - numbers: row after row.
  ///   - importance: a weight for each column, finite and not negative: the mean squares of what the
  ///     columns are multiplied with, as an importance matrix has them.
  /// - Throws: where the type cannot be encoded, where the columns are no whole number of blocks, or
  ///   the numbers no whole number of rows.
  public func encode(_ numbers: [Float], importance: [Float]) throws(CodecError) -> [UInt8] {
    try requireWritable()
    let columns = importance.count
    guard columns > 0, numbers.count % columns == 0, columns % blockElements == 0 else {
      throw CodecError(
        name, "is given rows that are no whole number of blocks",
        expected: "rows of \(columns) numbers, a multiple of \(blockElements)",
        found: "\(numbers.count) numbers")
    }
    guard let strange = importance.first(where: { !($0 >= 0 && $0.isFinite) }) else {
      var bytes = try room(forElements: numbers.count)
      numbers.withUnsafeBufferPointer { numbers in
        importance.withUnsafeBufferPointer { importance in
          bytes.withUnsafeMutableBytes {
            inner.encode(numbers, columns: columns, importance: importance, into: $0)
          }
        }
      }
      return bytes
    }
    throw CodecError(
      name, "is given an importance that is none", expected: "numbers from 0 on",
      found: "\(strange)")
  }

  /// The first element, or the first of the first block, that is NaN or infinite; nil where all are
  /// finite: what llama.cpp looks at before it takes a tensor.
  ///
  /// Types that it has no look at, such as FP8, are all finite to this.
  ///
  /// - Throws: where the bytes hold no whole number of elements or blocks.
  public func firstNotFinite(in bytes: [UInt8]) throws(CodecError) -> Int? {
    guard elementCount(bytes: bytes.count) != nil else {
      throw CodecError(
        name, "is given a part of an element or block", found: "\(bytes.count) bytes")
    }
    return bytes.withUnsafeBytes { inner.firstNotFinite($0) }
  }

  private func requireWritable() throws(CodecError) {
    guard isWritable else { throw CodecError(name, "can be decoded alone") }
  }

  private func room(forElements count: Int) throws(CodecError) -> [UInt8] {
    guard let bytes = byteCount(elements: count) else {
      throw CodecError(
        name, "is given a part of a byte or block", expected: "a multiple of \(blockElements)",
        found: "\(count) numbers")
    }
    return [UInt8](repeating: 0, count: bytes)
  }

  private func require(_ bytes: Int, forElements count: Int) throws(CodecError) {
    let expected = byteCount(elements: count)
    guard bytes == expected else {
      throw CodecError(
        name, "is given the wrong number of bytes",
        expected: expected.map { "\($0)" } ?? "whole bytes or blocks", found: "\(bytes)")
    }
  }
}
