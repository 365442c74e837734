import FathomCodecs
import Foundation
import Support
import Testing

/// Codecs by the library alone, held to the answers of torch and ggml that `CodecsTests` has.
@Suite struct CodecLibraryTests {
  private static let fixtures = Repository.root + "/Tests/CodecsTests/Fixtures/"

  /// A known answer of ggml: the words of its line, the last of which is a hash.
  private static func answers(_ name: String) -> [[String]] {
    let bytes = (try? contents(fixtures + name)) ?? []
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ").map(String.init)
    }
  }

  private func bytes(_ name: String) throws -> [UInt8] {
    try contents(CodecLibraryTests.fixtures + name + ".bin")
  }

  private func floats(_ name: String) throws -> [Float] {
    try #require(Codec(named: "F32")).decode(bytes(name))
  }

  private func hash(_ bytes: [UInt8]) -> String {
    let digits = String(fnv1a(bytes), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The bits, for comparison: a NaN equals none. Which one it is, types that have one alone do not
  /// say.
  private func bits(_ numbers: [Float]) -> [UInt32] {
    numbers.map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern }
  }

  @Test(arguments: answers("ggml-encoded.txt"))
  func encodesAsGGML(words: [String]) throws {
    let codec = try #require(Codec(named: words[0]))
    let numbers = try #require(NumberSet(rawValue: words[1])).values(count: 8 * 512, seed: 11)
    let found =
      try words[2] == "weighted"
      ? codec.encode(numbers, importance: NumberSet.importance(count: 512, seed: 7))
      : codec.encode(numbers)
    #expect(hash(found) == words[3])
  }

  @Test(arguments: answers("ggml-decoded.txt"))
  func decodesAsGGML(words: [String]) throws {
    let codec = try #require(Codec(named: words[0]))
    var random = SplitMix64(state: 5)
    let count = try #require(codec.byteCount(elements: 4096))
    let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let numbers = try codec.decode(bytes).map { $0.isNaN ? .nan : $0 }
    #expect(try hash(#require(Codec(named: "F32")).encode(numbers)) == words[words.count - 1])
  }

  @Test(arguments: [
    ("BF16", "bf16"), ("F16", "f16"), ("F8_E4M3", "e4m3"), ("F8_E5M2", "e5m2"),
    ("F8_E8M0", "e8m0"),
  ])
  func encodesAsTorch(name: String, file: String) throws {
    let found = try #require(Codec(named: name)).encode(floats("values"))
    #expect(try found == bytes("encoded-" + file))
  }

  @Test(arguments: [
    ("F8_E4M3", "e4m3"), ("F8_E5M2", "e5m2"), ("F8_E8M0", "e8m0"), ("F8_E4M3FNUZ", "e4m3fnuz"),
  ])
  func decodesAsTorch(name: String, file: String) throws {
    let found = try #require(Codec(named: name)).decode((0...255).map { UInt8($0) })
    #expect(try bits(found) == bits(floats("decoded-" + file)))
  }

  @Test func scaledBlocksAreTorchs() throws {
    let fp8 = try ScaledFP8(blockRows: 16, blockColumns: 48)
    #expect(fp8.scaleShape(rows: 37, columns: 256) == [3, 6])
    let found = try fp8.decode(
      codes: bytes("scaled-codes"), scales: floats("scaled-scales"), rows: 37, columns: 256)
    #expect(try bits(found) == bits(floats("scaled-f32")))
  }

  @Test(arguments: [(ScaledFP8.ScaleFormat.f32, "f32"), (.powerOfTwo, "powers")])
  func quantizedBlocksAreTorchs(format: ScaledFP8.ScaleFormat, name: String) throws {
    let weights = try #require(Codec(named: "BF16")).decode(bytes("quantized-weights"))
    let fp8 = try ScaledFP8(blockRows: 16, blockColumns: 32)
    let found = try fp8.encode(weights, rows: 37, columns: 100, scales: format)
    #expect(try found.codes == bytes("quantized-\(name)-codes"))
    #expect(try found.scales == floats("quantized-\(name)-scales"))
  }

  /// What would stop the modules inside is refused with the numbers that do not fit.
  @Test(arguments: Codec.all)
  func whatDoesNotFitIsRefused(codec: Codec) throws {
    let elements = 8 * codec.blockElements
    let bytes = [UInt8](repeating: 0, count: try #require(codec.byteCount(elements: elements)))
    #expect(codec.elementCount(bytes: bytes.count) == elements)
    #expect(try codec.decode(bytes) == codec.decode(bytes + []))
    #expect(try codec.decode([]).isEmpty)
    #expect(Codec(named: codec.name)?.name == codec.name)
    let isWhole = codec.elementCount(bytes: bytes.count - 1) != nil
    #expect(isWhole == (try? codec.decode(bytes.dropLast() + [])).map { _ in true } ?? false)
    #expect(!isWhole || codec.blockElements == 1)
    var numbers = [Float](repeating: 0, count: elements + 1)
    #expect(throws: CodecError.self) {
      var span = numbers.mutableSpan
      try codec.decode(bytes.span.bytes, into: &span)
    }
    numbers.removeLast()
    let importance = [Float](repeating: 1, count: elements)
    guard codec.isWritable else {
      #expect(throws: CodecError.self) { try codec.encode(numbers) }
      #expect(throws: CodecError.self) { try codec.encode(numbers, importance: importance) }
      return
    }
    #expect(try codec.encode(numbers, importance: importance).count == bytes.count)
    #expect(codec.needsImportance == ((try? codec.encode(numbers)) == nil))
    for strange: Float in [-1, .nan, .infinity] {
      #expect(throws: CodecError.self) {
        try codec.encode(numbers, importance: importance.dropLast() + [strange])
      }
    }
    for columns in [0, elements - 1, elements * 2] where columns != 1 {
      let other = [Float](repeating: 1, count: columns)
      #expect(throws: CodecError.self) { try codec.encode(numbers, importance: other) }
    }
    if codec.blockElements > 1 {
      #expect(throws: CodecError.self) { try codec.encode(numbers.dropLast() + []) }
      #expect(throws: CodecError.self) { try codec.firstNotFinite(in: bytes.dropLast() + []) }
    }
  }

  /// Nothing that numbers can be stops the program, and what cannot be stored shows.
  @Test(arguments: Codec.all.filter(\.isWritable), NumberSet.allCases)
  func anyNumbersAreEncoded(codec: Codec, set: NumberSet) throws {
    let numbers = set.values(count: 1024, seed: 3)
    let bytes = try codec.encode(numbers, importance: NumberSet.importance(count: 512, seed: 4))
    #expect(try codec.decode(bytes).count == 1024)
    if set == .normal { #expect(try codec.firstNotFinite(in: bytes) == nil) }
  }

  @Test func numbersThatAreNoneAreFound() throws {
    let numbers: [Float] = [1, 2, .nan, .infinity]
    for name in ["F32", "BF16", "F16"] {
      let codec = try #require(Codec(named: name))
      #expect(try codec.firstNotFinite(in: codec.encode(numbers)) == 2)
    }
    let codec = try #require(Codec(named: "Q8_0"))
    let bytes = try codec.encode(
      [Float](repeating: 1, count: 32) + [.infinity] + Array(repeating: 0, count: 31))
    #expect(try codec.firstNotFinite(in: bytes) == 32)
    #expect(Codec(named: "C64") == nil && Codec(named: "Q8_K") == nil && Codec(named: "") == nil)
  }

  @Test func scaledBlocksThatDoNotFitAreRefused() throws {
    let fp8 = try ScaledFP8()
    #expect(fp8.blockRows == 128 && fp8.blockColumns == 128)
    for (rows, columns) in [(2, 2), (-1, -3), (.max, 3), (1, 4)] {
      #expect(throws: CodecError.self) {
        try fp8.encode([1, 2, 3], rows: rows, columns: columns)
      }
      #expect(throws: CodecError.self) {
        try fp8.decode(codes: [1, 2, 3], scales: [1], rows: rows, columns: columns)
      }
    }
    #expect(throws: CodecError.self) {
      try fp8.decode(codes: [1, 2, 3], scales: [1, 2], rows: 1, columns: 3)
    }
    for (rows, columns) in [(0, 1), (1, -1), (.max, 1)] {
      #expect(throws: CodecError.self) { try ScaledFP8(blockRows: rows, blockColumns: columns) }
    }
    for strange: Float in [.nan, -.infinity] {
      #expect(throws: CodecError.self) { try fp8.encode([1, strange], rows: 1, columns: 2) }
    }
    #expect(try fp8.encode([], rows: 0, columns: .max).codes.isEmpty)
    #expect(try fp8.decode(codes: [], scales: [], rows: .max, columns: 0).isEmpty)
    #expect(fp8.scaleShape(rows: .max, columns: 129) == [.max / 128 + 1, 2])
  }
}
