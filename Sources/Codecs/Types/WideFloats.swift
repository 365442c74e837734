internal import Tensors

extension Codec {
  /// F32: bytes as they are, NaN payloads included.
  static let f32 = Codec(.f32) { bytes, values, _ in
    UnsafeMutableRawBufferPointer(values).copyMemory(from: bytes)
  } encode: { values, bytes, _ in
    bytes.copyMemory(from: UnsafeRawBufferPointer(values))
  }

  /// F64: decoding rounds once; encoding is exact.
  static let f64 = Codec(.f64, isExact: false) { bytes, values, _ in
    for index in 0..<values.count {
      values[index] = Float(bytes.loadUnaligned(fromByteOffset: 8 * index, as: Double.self))
    }
  } encode: { values, bytes, _ in
    for index in 0..<values.count {
      bytes.storeBytes(of: Double(values[index]), toByteOffset: 8 * index, as: Double.self)
    }
  }
}
