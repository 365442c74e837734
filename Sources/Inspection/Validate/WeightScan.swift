internal import Tensors

/// Counts what is suspicious in a tensor's bits, row after row, without decoding a number.
struct WeightScan: Sendable {
  /// Elements that are NaN or infinite.
  private(set) var nonFinite = 0
  /// Index of the first of those.
  private(set) var firstNonFinite: Int?
  /// Rows in which every element is zero.
  private(set) var zeroRows = 0
  /// FP8 E4M3 elements at the end of the range, ±448.
  private(set) var saturated = 0
  /// Whether every byte is zero.
  private(set) var isZero = true
  /// Scales that are negative.
  private(set) var negativeScales = 0
  /// Scales that are zero.
  private(set) var zeroScales = 0
  /// Scales that are no powers of two though they should be.
  private(set) var unevenScales = 0
  private var elements = 0
  private let type: ElementType
  private let isScale: Bool
  private let powerOfTwo: Bool

  init(type: ElementType, isScale: Bool, powerOfTwo: Bool) {
    self.type = type
    self.isScale = isScale
    self.powerOfTwo = powerOfTwo
  }

  /// What was counted, for a run that has not looked itself.
  var numbers: [Int] {
    [
      nonFinite, firstNonFinite ?? -1, zeroRows, saturated, isZero ? 1 : 0, negativeScales,
      zeroScales, unevenScales,
    ]
  }

  /// What another run has counted; nil where that is something else.
  init?(numbers: [Int]) {
    guard numbers.count == 8 else { return nil }
    self.init(type: .u8, isScale: false, powerOfTwo: false)
    (nonFinite, zeroRows, saturated) = (numbers[0], numbers[2], numbers[3])
    firstNonFinite = numbers[1] < 0 ? nil : numbers[1]
    isZero = numbers[4] == 1
    (negativeScales, zeroScales, unevenScales) = (numbers[5], numbers[6], numbers[7])
  }

  /// Looks at whole rows. Types without NaN (integers, FP4, FP6) have nothing to find.
  mutating func add(_ bytes: UnsafeRawBufferPointer, rowBytes: Int) {
    if isZero { isZero = !bytes.contains { $0 != 0 } }
    switch type {
    case .f8E4M3: scan(bytes, rowBytes, UInt8.self, magnitude: 0x7F) { $0 == 0x7F }
    case .f8E5M2: scan(bytes, rowBytes, UInt8.self, magnitude: 0x7F) { $0 >= 0x7C }
    case .f8E8M0: scan(bytes, rowBytes, UInt8.self, magnitude: 0xFF) { $0 == 0xFF }
    case .bf16: scan(bytes, rowBytes, UInt16.self, magnitude: 0x7FFF) { $0 >= 0x7F80 }
    case .f16: scan(bytes, rowBytes, UInt16.self, magnitude: 0x7FFF) { $0 >= 0x7C00 }
    case .f32: scan(bytes, rowBytes, UInt32.self, magnitude: 0x7FFF_FFFF) { $0 >= 0x7F80_0000 }
    default: break
    }
    if type == .f8E4M3 { saturated += bytes.reduce(0) { $0 + ($1 & 0x7F == 0x7E ? 1 : 0) } }
    guard isScale else { return }
    switch type {
    case .f32: scanScales(bytes)
    case .bf16, .f16: scanSigns(bytes.bindMemory(to: UInt16.self))
    case .f8E4M3: scanSigns(bytes.bindMemory(to: UInt8.self))
    default: break
    }
  }

  @inline(__always)
  private mutating func scan<Bits: FixedWidthInteger & UnsignedInteger>(
    _ bytes: UnsafeRawBufferPointer, _ rowBytes: Int, _: Bits.Type, magnitude: Bits,
    isNonFinite: (Bits) -> Bool
  ) {
    let width = MemoryLayout<Bits>.size
    // E8M0 has no zero: code 0 is 2⁻¹²⁷.
    let hasZero = type != .f8E8M0
    for start in stride(from: 0, to: bytes.count, by: rowBytes) {
      let row = UnsafeRawBufferPointer(rebasing: bytes[start..<start + rowBytes])
        .bindMemory(to: Bits.self)
      var any: Bits = 0
      var found = 0
      for bits in row {
        any |= bits & magnitude
        found &+= isNonFinite(bits & magnitude) ? 1 : 0
      }
      if any == 0 && hasZero { zeroRows += 1 }
      if found > 0 {
        let index = row.firstIndex { isNonFinite($0 & magnitude) } ?? 0
        if firstNonFinite == nil { firstNonFinite = elements + index }
        nonFinite += found
      }
      elements += rowBytes / width
    }
  }

  private mutating func scanScales(_ bytes: UnsafeRawBufferPointer) {
    for bits in bytes.bindMemory(to: UInt32.self) {
      let value = Float(bitPattern: bits)
      if value == 0 { zeroScales += 1 } else if value < 0 { negativeScales += 1 }
      if powerOfTwo, value > 0, value.isFinite, value.significand != 1 { unevenScales += 1 }
    }
  }

  private mutating func scanSigns<Bits: FixedWidthInteger & UnsignedInteger>(
    _ scales: UnsafeBufferPointer<Bits>
  ) {
    let sign: Bits = 1 << (Bits.bitWidth - 1)
    for bits in scales {
      if bits & ~sign == 0 { zeroScales += 1 } else if bits & sign != 0 { negativeScales += 1 }
    }
  }
}
