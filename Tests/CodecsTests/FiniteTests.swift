import Codecs
import Tensors
import Testing

/// What is refused before it gets into a GGUF file: NaN and infinities, in numbers and in scales.
@Suite struct FiniteTests {
  static let written =
    [ElementType.f32, .f16, .bf16]
    + Codec.table.filter { $0.isWritable && $0.type.isBlock }.map(\.type)

  private func first(_ values: [Float], in type: ElementType, _ level: KernelLevel) throws -> Int? {
    let codec = try #require(Codec.codec(for: type))
    var bytes = [UInt8](repeating: 0, count: type.byteOffset(of: values.count))
    let importance = [Float](repeating: 1, count: values.count)
    return values.withUnsafeBufferPointer { values in
      bytes.withUnsafeMutableBytes { bytes in
        importance.withUnsafeBufferPointer { importance in
          codec.encode(
            values, columns: values.count,
            importance: codec.needsImportance ? importance : nil, into: bytes, level: level)
        }
        return codec.firstNotFinite(UnsafeRawBufferPointer(bytes), level: level)
      }
    }
  }

  /// Blocks of small numbers with one at `place` that is none.
  private func numbers(_ value: Float, at place: Int) -> [Float] {
    var values = (0..<1024).map { Float($0 % 37) / 16 - 1 }
    values[place] = value
    return values
  }

  @Test(arguments: written)
  func finiteNumbersPass(type: ElementType) throws {
    for level in KernelLevel.available {
      for value: Float in [2, .leastNonzeroMagnitude] {
        let found = try first(numbers(value, at: 700), in: type, level)
        #expect(found == nil)
      }
    }
  }

  /// 1e9 is beyond F16, and so is its scale in every block type but MXFP4, where it is a power of
  /// two, and NVFP4, where it ends at 448.
  @Test(arguments: written)
  func aScaleThatOverflowsIsFound(type: ElementType) throws {
    for level in KernelLevel.available {
      let found = try first(numbers(1e9, at: 700), in: type, level)
      switch type {
      case .f32, .bf16, .mxfp4, .nvfp4: #expect(found == nil)
      default: #expect(found == 700 / type.blockElements * type.blockElements, "\(level)")
      }
    }
  }

  /// llama.cpp ends the process where no point of a grid is near or a scale is NaN. (IQ2_XXS gets by
  /// without either here.)
  @Test(arguments: [ElementType.iq2XS, .iq2S, .iq3XXS, .iq3S])
  func blocksThatNoGridCanHoldAreFound(type: ElementType) throws {
    for level in KernelLevel.available {
      for value in [Float.infinity, -.infinity, .nan] {
        var values = numbers(1, at: 0)
        // The last of its sub-block, so that the largest element is no number.
        values[703] = value
        let found = try first(values, in: type, level)
        #expect(found == 512, "\(level) \(value)")
      }
    }
  }

  @Test(arguments: [ElementType.f32, .f16, .bf16])
  func plainNumbersAreFoundWhereTheyStand(type: ElementType) throws {
    for level in KernelLevel.available {
      for value in [Float.infinity, -.infinity, .nan] {
        for place in [0, 511, 1023] {
          let found = try first(numbers(value, at: place), in: type, level)
          #expect(found == place)
        }
      }
    }
  }

  /// All bits set make every scale NaN, but NVFP4's.
  @Test func scalesOfAllBitsAreFound() throws {
    for type in Codec.table.map(\.type) where type.isBlock && type != .nvfp4 {
      let (codec, block) = (try #require(Codec.codec(for: type)), try #require(type.block))
      var bytes = [UInt8](repeating: 0, count: 3 * block.bytes)
      let sound = bytes.withUnsafeBytes { codec.firstNotFinite($0) }
      #expect(sound == nil)
      for index in block.bytes..<2 * block.bytes { bytes[index] = 0xFF }
      let found = bytes.withUnsafeBytes { codec.firstNotFinite($0) }
      #expect(found == block.elements, "\(type)")
      var values = [Float](repeating: 0, count: 3 * block.elements)
      values.withUnsafeMutableBufferPointer { values in
        bytes.withUnsafeBytes { codec.decode($0, into: values) }
      }
      let isBefore = values[..<block.elements].allSatisfy { $0.isFinite }
      let isInside = values[block.elements..<2 * block.elements].allSatisfy { $0.isFinite }
      #expect(isBefore && !isInside)
    }
  }
}
