import Codecs
import Tensors
import Testing

/// An element type, by the name that its fixtures bear.
struct Answer: CustomTestStringConvertible, Sendable {
  let name: String
  let type: ElementType
  var testDescription: String { name }

  static let decoded = [
    Answer(name: "e4m3", type: .f8E4M3), Answer(name: "e5m2", type: .f8E5M2),
    Answer(name: "e4m3fnuz", type: .f8E4M3FNUZ), Answer(name: "e5m2fnuz", type: .f8E5M2FNUZ),
    Answer(name: "e8m0", type: .f8E8M0), Answer(name: "f16", type: .f16),
  ]
  static let encoded = [
    Answer(name: "bf16", type: .bf16), Answer(name: "f16", type: .f16),
    Answer(name: "e4m3", type: .f8E4M3), Answer(name: "e5m2", type: .f8E5M2),
    Answer(name: "e8m0", type: .f8E8M0),
  ]
}

@Suite struct CodecTests {
  @Test("every code has torch's value", arguments: Answer.decoded, KernelLevel.available)
  func decodesAsTorch(answer: Answer, level: KernelLevel) throws {
    let codec = try #require(Codec.codec(for: answer.type))
    let expected = try fixture("decoded-\(answer.name)").floats
    let codes =
      answer.type == .f16
      ? stride(from: Int(Int16.min), through: Int(Int16.max), by: 7).flatMap {
        [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)]
      }
      : [UInt8](0...255)
    let values = memory(expected.count * 4).mutableFloats
    codes.withUnsafeBytes { codec.decode($0, into: values, level: level) }
    for (index, pair) in zip(values, expected).enumerated() {
      // A NaN without sign or mantissa has no bits to keep: torch's happens to be signalling.
      let same =
        pair.0.bitPattern == pair.1.bitPattern
        || (pair.0.isNaN && pair.1.bitPattern == 0x7F80_0001)
      #expect(same, "code \(index): \(pair)")
    }
  }

  @Test("rounding is torch's", arguments: Answer.encoded, KernelLevel.available)
  func encodesAsTorch(answer: Answer, level: KernelLevel) throws {
    let codec = try #require(Codec.codec(for: answer.type))
    let values = try fixture("values").floats
    let expected = try fixture("encoded-\(answer.name)")
    let bytes = memory(expected.count)
    codec.encode(values, into: bytes.bytes, level: level)
    let step = answer.type.bits / 8
    for index in 0..<values.count {
      let range = index * step..<(index + 1) * step
      let pair = (Array(bytes.bytes[range]), Array(expected.bytes[range]))
      #expect(pair.0 == pair.1, "\(values[index]) (\(values[index].bitPattern))")
    }
  }

  @Test(
    "each row of the table", arguments: Codec.table.map(\.type).filter { !$0.isBlock },
    KernelLevel.available)
  func twinsAgree(type: ElementType, level: KernelLevel) throws {
    let codec = try #require(Codec.codec(for: type))
    #expect(codec.type == type)
    var random = Random(seed: 7)
    // Lengths around those of the vectors, and bytes that are not aligned.
    for count in [1, 7, 8, 17, 31, 32, 63, 72, 1000, 4104] {
      guard type.byteCount(elements: count) != nil else { continue }
      let stored = random.bytes(1 + count * type.bits / 8)[1...]
      let (plain, fast) = (memory(4 * count), memory(4 * count))
      stored.withUnsafeBytes {
        codec.decode($0, into: plain.mutableFloats, level: .plain)
        codec.decode($0, into: fast.mutableFloats, level: level)
      }
      #expect(difference(plain, fast) == nil)
      guard codec.isWritable else { continue }
      let again = memory(stored.count)
      codec.encode(plain.floats, into: again.bytes, level: level)
      for index in 0..<count where !plain.floats[index].isNaN && codec.isExact {
        let range = index * type.bits / 8..<(index + 1) * type.bits / 8
        let original = stored.dropFirst(range.lowerBound).prefix(range.count)
        #expect(again.bytes[range].elementsEqual(original))
      }
      let noise = (0..<count).map { _ in
        Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      }
      let (one, two) = (memory(stored.count), memory(stored.count))
      noise.withUnsafeBufferPointer {
        codec.encode($0, into: one.bytes, level: .plain)
        codec.encode($0, into: two.bytes, level: level)
      }
      #expect(difference(one, two) == nil)
    }
  }

  @Test("packed elements are read lowest bits first")
  func unpacks() throws {
    let f4 = try #require(Codec.codec(for: .f4))
    let values = memory(16).mutableFloats
    ([0x21, 0xF7] as [UInt8]).withUnsafeBytes { f4.decode($0, into: values) }
    #expect(Array(values) == [0.5, 1, 6, -6])
    let f6 = try #require(Codec.codec(for: .f6E3M2))
    // 000001, 011111, 100001, 111111 from the lowest bit of three bytes upwards.
    ([0xC1, 0x17, 0xFE] as [UInt8]).withUnsafeBytes { f6.decode($0, into: values) }
    #expect(Array(values) == [0.0625, 28, -0.0625, -28])
  }

  @Test("conversion through F32 crosses its chunks")
  func converts() throws {
    var random = Random(seed: 3)
    let count = 5001
    let source = memory(random.bytes(2 * count))
    let (from, to) = (Codec.codec(for: .bf16)!, Codec.codec(for: .f16)!)
    let target = memory(2 * count)
    from.convert(UnsafeRawBufferPointer(source.bytes), count: count, to: to, into: target.bytes)
    for index in 0..<count {
      let code = source.bytes.load(fromByteOffset: 2 * index, as: UInt16.self)
      let expected = UInt16(
        truncatingIfNeeded: SmallFloat.f16.encode(BFloat16.decode(code)))
      #expect(target.bytes.load(fromByteOffset: 2 * index, as: UInt16.self) == expected)
    }
  }

  @Test("a power of two is found from below")
  func roundsUpToPowers() {
    #expect(PowerOfTwo.roundingUp(1) == 1)
    #expect(PowerOfTwo.roundingUp(1.0000001) == 2)
    #expect(PowerOfTwo.roundingUp(0x1p-149) == 0x1p-127)
    #expect(PowerOfTwo.roundingUp(0x1.8p-127) == 0x1p-126)
    #expect(PowerOfTwo.roundingUp(0.3) == 0.5)
  }
}
