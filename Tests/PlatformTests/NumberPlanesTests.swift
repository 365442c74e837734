import Compression
import Platform
import Testing

/// Numbers cut into planes of bytes, and frames of entropy codes.
@Suite struct NumberPlanesTests {
  private func bytes(_ count: Int) -> [UInt8] {
    var state: UInt64 = 7
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }

  private func split(_ planes: NumberPlanes, _ numbers: [UInt8], plain: Bool) -> [UInt8] {
    var target = [UInt8](repeating: 0, count: numbers.count)
    numbers.withUnsafeBytes { numbers in
      target.withUnsafeMutableBytes { planes.split(numbers, into: $0, plain: plain) }
    }
    return target
  }

  private func join(_ planes: NumberPlanes, _ parts: [UInt8], plain: Bool) -> [UInt8] {
    var target = [UInt8](repeating: 0, count: parts.count)
    parts.withUnsafeBytes { parts in
      target.withUnsafeMutableBytes { planes.join(parts, into: $0, plain: plain) }
    }
    return target
  }

  @Test(arguments: NumberPlanes.allCases, [0, 1, 2, 3, 4, 7, 64, 1021, 4096, 70_003])
  func fastAndPlainAgreeAndComeBack(planes: NumberPlanes, count: Int) {
    let numbers = bytes(count)
    let parts = split(planes, numbers, plain: true)
    #expect(split(planes, numbers, plain: false) == parts)
    #expect(join(planes, parts, plain: true) == numbers)
    #expect(join(planes, parts, plain: false) == numbers)
    #expect(planes.sizes(of: count).reduce(0, +) == count)
  }

  /// 1.5 and −2 in BF16 are 3FC0 and C000: exponents 7F and 80, then mantissa and sign.
  @Test func exponentsStandApart() {
    let parts = split(.words16, [0xC0, 0x3F, 0x00, 0xC0, 0x55], plain: false)
    #expect(parts == [0x7F, 0x80, 0x80, 0x01, 0x55])
    // 1.5 in F32 is 3FC00000.
    #expect(split(.words32, [0, 0, 0xC0, 0x3F], plain: false) == [0x7F, 0x80, 0, 0])
  }

  @Test func framesComeBack() throws {
    let coder = try EntropyCoder()
    // Few values, as exponents are.
    let plane = bytes(100_000).map { UInt8(120 + $0.leadingZeroBitCount) }
    var frame = [UInt8](repeating: 0, count: plane.count)
    let size = try plane.withUnsafeBytes { plane throws(Fault) in
      var result: Int?
      var fault: Fault?
      frame.withUnsafeMutableBytes { frame in
        do throws(Fault) { result = try coder.compress(plane, into: frame) } catch { fault = error }
      }
      if let fault { throw fault }
      return result
    }
    let count = try #require(size)
    // Their entropy is 2 bits.
    #expect(count > plane.count * 24 / 100 && count < plane.count * 27 / 100)
    #expect(try decompress(Array(frame[..<count]), plane.count) == plane)
    #expect(try decompress(Array(frame[..<count]), plane.count - 1) == nil)
    #expect(try decompress(Array(frame[..<count]), plane.count + 1) == nil)
    #expect(try decompress(Array(frame[..<(count - 1)]), plane.count) == nil)
  }

  @Test func whatDoesNotFitIsNotCompressed() throws {
    let coder = try EntropyCoder()
    let noise = bytes(10_000)
    var target = [UInt8](repeating: 0, count: 9_000)
    let size = noise.withUnsafeBytes { noise in
      target.withUnsafeMutableBytes { try? coder.compress(noise, into: $0) }
    }
    #expect(size == nil)
  }

  private func decompress(_ frame: [UInt8], _ count: Int) throws -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let reason = try frame.withUnsafeBytes { frame in
      try bytes.withUnsafeMutableBytes { try EntropyDecoder.decompress(frame, into: $0) }
    }
    return reason == nil ? bytes : nil
  }
}
