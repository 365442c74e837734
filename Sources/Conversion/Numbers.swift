internal import Tensors

enum PlainNumbers {
  static func get(_ b: UnsafeRawBufferPointer, _ t: ElementType, _ i: Int) -> Float {
    switch t {
    case .f32: b.loadUnaligned(fromByteOffset: 4 * i, as: Float.self)
    case .f16: Float(b.loadUnaligned(fromByteOffset: 2 * i, as: Float16.self))
    case .bf16:
      Float(bitPattern: UInt32(b.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)) << 16)
    case .f8E8M0: b[i] == 255 ? .nan : b[i] == 0 ? 0x1p-127 : Float(bitPattern: UInt32(b[i]) << 23)
    default: preconditionFailure()
    }
  }
  static func put(_ v: Float, _ b: UnsafeMutableRawBufferPointer, _ t: ElementType, _ i: Int) {
    switch t {
    case .f32: b.storeBytes(of: v, toByteOffset: 4 * i, as: Float.self)
    case .f16: b.storeBytes(of: Float16(v), toByteOffset: 2 * i, as: Float16.self)
    case .bf16:
      let u = v.bitPattern
      let r =
        v.isNaN ? UInt16(0x7FC0) : UInt16(truncatingIfNeeded: (u &+ 0x7FFF &+ (u >> 16 & 1)) >> 16)
      b.storeBytes(of: r, toByteOffset: 2 * i, as: UInt16.self)
    default: preconditionFailure()
    }
  }
  static func convert(
    _ s: UnsafeRawBufferPointer, _ st: ElementType, to d: UnsafeMutableRawBufferPointer,
    _ dt: ElementType
  ) {
    for i in 0..<(s.count * 8 / st.bits) { put(get(s, st, i), d, dt, i) }
  }
}
enum FP8Numbers {
  static func decodeRow(
    _ s: UnsafeRawBufferPointer, scales: ArraySlice<Float>, blockColumns: Int,
    to d: UnsafeMutableRawBufferPointer, _ dt: ElementType
  ) {
    for i in 0..<s.count {
      let x = s[i]
      let m = Float(Float16(bitPattern: UInt16(x & 0x7f) << 7)) * 256
      let v: Float = x & 0x7f == 0x7f ? .nan : (x & 0x80 != 0 ? -m : m)
      PlainNumbers.put(v * scales[scales.startIndex + i / blockColumns], d, dt, i)
    }
  }
  static func encodeBand(
    _ s: UnsafeRawBufferPointer, _ st: ElementType, rows: Int, columns: Int, blockColumns: Int,
    powerOfTwo: Bool, to: UnsafeMutableRawBufferPointer
  ) {
  }
  static func scales(
    _ s: UnsafeRawBufferPointer, _ st: ElementType, rows: Int, columns: Int, blockColumns: Int,
    powerOfTwo: Bool, to: UnsafeMutableBufferPointer<Float>
  ) {}
}
