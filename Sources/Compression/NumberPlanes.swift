internal import CPlatform

/// Numbers as planes of bytes, their first bytes before all second ones and so on: exponents are
/// much alike and compress well, mantissas do not.
package enum NumberPlanes: UInt8, Sendable, CaseIterable {
  /// Bytes as they are: one plane.
  case bytes = 0
  /// Numbers of 16 bits, each rotated left by one bit, so that the sign is the last bit and BF16's
  /// exponent a byte: two planes.
  case words16 = 1
  /// Numbers of 32 bits, rotated likewise: four planes, F32's exponent first.
  case words32 = 2

  /// Number of planes.
  package var count: Int {
    switch self {
    case .bytes: 1
    case .words16: 2
    case .words32: 4
    }
  }

  /// Bytes of each plane of so many bytes of numbers. What is no whole number, at the end, stands
  /// as it is at the end of the last plane.
  package func sizes(of byteCount: Int) -> [Int] {
    let whole = byteCount / count
    return [Int](repeating: whole, count: count - 1) + [whole + byteCount % count]
  }

  /// numbers (bytes) → planes, one behind the other; both have the same size
  ///
  /// - Parameter plain: computes it in Swift, which says what is computed.
  package func split(
    _ numbers: UnsafeRawBufferPointer, into planes: UnsafeMutableRawBufferPointer,
    plain: Bool = false
  ) {
    precondition(numbers.count == planes.count)
    guard let source = numbers.baseAddress, let base = planes.baseAddress else { return }
    let target = base.assumingMemoryBound(to: UInt8.self)
    let n = numbers.count / count
    switch self {
    case .bytes: return planes.copyMemory(from: numbers)
    case _ where plain:
      for index in 0..<n {
        let value = rotated(numbers, at: index)
        for plane in 0..<count {
          target[plane * n + index] = UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - plane)))
        }
      }
    case .words16: fathom_split_16(source, n, target)
    case .words32: fathom_split_32(source, n, target)
    }
    for rest in count * n..<numbers.count { target[rest] = numbers[rest] }
  }

  /// planes, one behind the other → numbers (bytes)
  package func join(
    _ planes: UnsafeRawBufferPointer, into numbers: UnsafeMutableRawBufferPointer,
    plain: Bool = false
  ) {
    precondition(numbers.count == planes.count)
    guard let base = planes.baseAddress, let target = numbers.baseAddress else { return }
    let source = base.assumingMemoryBound(to: UInt8.self)
    let n = numbers.count / count
    switch self {
    case .bytes: return numbers.copyMemory(from: planes)
    case _ where plain:
      for index in 0..<n {
        let value = (0..<count).reduce(UInt32(0)) { $0 << 8 | UInt32(source[$1 * n + index]) }
        let number = value >> 1 | (value & 1) << (8 * count - 1)
        for byte in 0..<count {
          numbers[count * index + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte))
        }
      }
    case .words16: fathom_join_16(source, n, target)
    case .words32: fathom_join_32(source, n, target)
    }
    for rest in count * n..<numbers.count { numbers[rest] = planes[rest] }
  }

  /// A number, its sign moved to the last bit.
  private func rotated(_ numbers: UnsafeRawBufferPointer, at index: Int) -> UInt32 {
    let value = (0..<count).reduce(UInt32(0)) {
      $0 | UInt32(numbers[count * index + $1]) << (8 * $1)
    }
    let sign = value >> (8 * count - 1)
    return (value << 1 | sign) & (UInt32.max >> (32 - 8 * count))
  }
}
