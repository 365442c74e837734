package import Platform
internal import Tensors

/// The zeros that a file of weights ends in, where these cannot be weights: what an interrupted
/// download or copy leaves of a file whose room was made beforehand.
package struct ZeroTail: Sendable {
  /// The first byte of them.
  package let start: Int
  /// Their number.
  package let byteCount: Int
  /// Tensors that lie in them wholly, in the order of their bytes.
  package let tensors: [StoredTensor]

  /// Zeros within one matrix that are no chance: a page of a file system.
  fileprivate static let leastBytes = 4096
  /// Most files end in a number at once: a small look tells.
  static let firstLook = 64
  /// Bytes that are read at a time.
  private static let window = 1 << 20

  /// Looks at the end of a file, no further than to the last byte that is not zero; nil where what
  /// is there may be weights.
  ///
  /// - Parameter tensors: those of the file.
  /// - Throws: `.inputOutput` where reading fails.
  package init?(of file: InputFile, holding tensors: [StoredTensor]) throws(Fault) {
    guard let first = tensors.map(\.offset).min() else { return nil }
    let start = try ZeroTail.start(in: file, after: first)
    let covered = tensors.filter { $0.offset >= start && $0.byteCount > 0 }
      .sorted { $0.offset < $1.offset }
    let cut = tensors.first { $0.offset < start && $0.offset + $0.byteCount > start }
    let isLong = file.size - start >= ZeroTail.leastBytes
    guard covered.contains(where: \.cannotBeZero) || isLong && cut?.mayEndInZeros == false else {
      return nil
    }
    self.start = start
    byteCount = file.size - start
    self.tensors = covered
  }

  /// The first of the zeros at the end.
  private static func start(in file: InputFile, after first: Int) throws(Fault) -> Int {
    let buffer = ByteBuffer(count: min(window, max(1, file.size)))
    var end = file.size
    var size = firstLook
    while end > first {
      let count = min(size, end - first, buffer.count)
      let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count])
      try file.read(at: end - count, into: bytes)
      if let last = bytes.lastIndex(where: { $0 != 0 }) { return end - count + last + 1 }
      end -= count
      size = window
    }
    return first
  }

  /// What lies in it, as the end of a sentence.
  package var extent: String {
    switch tensors.count {
    case 0: ""
    case 1: ", one tensor whole"
    default: ", \(tensors.count) tensors whole"
    }
  }

  /// The fault of whoever wants to use the file.
  package func fault(of file: String) -> Fault {
    var fault = Fault(
      .malformed, "bytes \(start) to the end are zero: an interrupted download or copy",
      file: file, tensor: tensors.first?.name, offset: UInt64(start),
      expected: "weights up to the end of the file",
      found: "\(byteCount) zeros\(extent)")
    fault.advice = "take \(Folder.name(of: file)) anew from where it came from"
    return fault
  }
}

extension StoredTensor {
  /// Whether it is a matrix or a norm's vector, which no network has wholly zero; biases may be, and
  /// numbers that are added to codes.
  package var cannotBeZero: Bool {
    // No network of this family has one: kernels of a convolution are of other parts, of which a few
    // zeros say nothing.
    if shape.dimensions.count > 3 { return byteCount >= ZeroTail.leastBytes }
    if shape.dimensions.count < 2 { return name.hasSuffix("norm.weight") }
    return !StoredTensor.zeroable.contains { name.hasSuffix($0) }
  }

  /// What follows the names of grids that may be zero: those of blocks of zeros, and offsets.
  private static let zeroable: [ExactText] = [
    "_scale", "_scale_inv", ".scale", ".scales", "zero_point", ".biases", ".bias",
  ]

  /// Whether its last rows may be zero: tables are filled up so, to a size that divides well.
  fileprivate var mayEndInZeros: Bool {
    !cannotBeZero || ["embd", "embed", "head", "output.weight"].contains { name.contains($0) }
  }
}
