import Foundation
import Tensors

/// Writes safetensors files for tests, apart from the product's own writer, so that a mistake in
/// one is not hidden by the same mistake in the other.
package struct SafetensorsFixture {
  /// Name, element type and dimensions in the order of their bytes.
  package var tensors: [(name: String, type: ElementType, shape: [Int])]

  /// Describes a file.
  package init(_ tensors: [(name: String, type: ElementType, shape: [Int])]) {
    self.tensors = tensors
  }

  /// Bytes of all tensors.
  package var dataSize: Int {
    tensors.reduce(0) { sum, tensor in
      sum + (tensor.type.byteCount(elements: tensor.shape.reduce(1, *)) ?? 0)
    }
  }

  /// The length field and the header.
  package var header: [UInt8] {
    var entries: [String] = []
    var offset = 0
    for tensor in tensors {
      let size = tensor.type.byteCount(elements: tensor.shape.reduce(1, *)) ?? 0
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      entries.append(
        "\"\(tensor.name)\":{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(offset + size)]}")
      offset += size
    }
    return SafetensorsFixture.framed("{" + entries.joined(separator: ",") + "}")
  }

  /// A header text behind its length.
  package static func framed(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) } + bytes
  }

  /// Writes a file whose data is a hole: it takes a few KB on disk whatever its size.
  package func writeSparse(to path: String) throws {
    let header = header
    guard FileManager.default.createFile(atPath: path, contents: Data(header)),
      let handle = FileHandle(forWritingAtPath: path)
    else { throw CocoaError(.fileWriteUnknown) }
    try handle.truncate(atOffset: UInt64(header.count + dataSize))
    try handle.close()
  }

  /// Writes a file of pseudo-random numbers of moderate size, each tensor in its own type; the same
  /// ones every time.
  package func writeNumbers(to path: String) throws {
    var state: UInt64 = 1
    var bytes = header
    bytes.reserveCapacity(bytes.count + dataSize)
    for tensor in tensors {
      let count = tensor.shape.reduce(1, *)
      for index in 0..<count {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        // Sign and mantissa of a BF16, or of the upper half of an F32. The exponent changes every
        // 100 numbers, so that the blocks of a matrix differ in their scales.
        let exponent = UInt16(0x78 + index / 100 % 8)
        let half = UInt16(truncatingIfNeeded: state >> 48) & 0x807F | exponent << 7
        if tensor.type == .f32 { bytes += [0, 0] }
        bytes += [UInt8(truncatingIfNeeded: half), UInt8(truncatingIfNeeded: half >> 8)]
      }
    }
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
      throw CocoaError(.fileWriteUnknown)
    }
  }
}
