import Codecs
import Support
import Tensors
import Testing

@Suite struct GGMLTests {
  /// Columns and rows of every matrix; `scripts/make ggml-fixtures` has the same.
  static let columns = 512
  static let rows = 8

  /// Where two results differ first. (Comparing the arrays makes a failure take minutes to print.)
  static func difference(_ one: [UInt8], _ two: [UInt8]) -> Int? {
    one.count == two.count ? one.indices.first { one[$0] != two[$0] } : min(one.count, two.count)
  }

  static func encode(
    _ codec: Codec, _ values: [Float], _ importance: [Float]?, _ level: KernelLevel,
    columns: Int = GGMLTests.columns
  ) throws -> [UInt8] {
    let target = memory(try #require(codec.type.byteCount(elements: values.count)))
    values.withUnsafeBufferPointer { values in
      if let importance {
        importance.withUnsafeBufferPointer {
          codec.encode(values, columns: columns, importance: $0, into: target.bytes, level: level)
        }
      } else {
        codec.encode(values, columns: columns, importance: nil, into: target.bytes, level: level)
      }
    }
    return Array(target.bytes)
  }

  @Test("ggml's bytes", arguments: HashedAnswer.read("ggml-encoded"), KernelLevel.available)
  func encodesAsGGML(answer: HashedAnswer, level: KernelLevel) throws {
    let type = try #require(ElementType(rawValue: answer.words[0]))
    let set = try #require(NumberSet(rawValue: answer.words[1]))
    let codec = try #require(Codec.codec(for: type))
    let values = set.values(count: GGMLTests.rows * GGMLTests.columns, seed: 11)
    let importance =
      answer.words[2] == "weighted"
      ? NumberSet.importance(count: GGMLTests.columns, seed: 7) : nil
    let bytes = try GGMLTests.encode(codec, values, importance, level)
    #expect(hash(bytes) == answer.hash)
  }

  @Test("ggml's values", arguments: HashedAnswer.read("ggml-decoded"), KernelLevel.available)
  func decodesAsGGML(answer: HashedAnswer, level: KernelLevel) throws {
    let type = try #require(ElementType(rawValue: answer.words[0]))
    let codec = try #require(Codec.codec(for: type))
    var random = SplitMix64(state: 5)
    let count = try #require(type.byteCount(elements: 4096))
    let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let values = memory(4 * 4096)
    bytes.withUnsafeBytes { codec.decode($0, into: values.mutableFloats, level: level) }
    for index in 0..<4096 where values.floats[index].isNaN { values.mutableFloats[index] = .nan }
    #expect(hash(values.bytes) == answer.hash)
  }

  @Test("every type has known answers")
  func fixturesAreComplete() {
    let blocks = Codec.table.filter { $0.type.isBlock }
    #expect(blocks.count == ElementType.allCases.filter(\.isBlock).count)
    let decoded = Set(HashedAnswer.read("ggml-decoded").map { $0.words[0] })
    #expect(decoded == Set(blocks.map(\.type.rawValue)))
    let encoded = HashedAnswer.read("ggml-encoded").map { $0.words.joined(separator: " ") }
    let wanted = blocks.filter(\.isWritable).flatMap { codec in
      NumberSet.allCases.flatMap { set in
        (codec.needsImportance ? ["weighted"] : ["plain", "weighted"]).map {
          "\(codec.type.rawValue) \(set) \($0)"
        }
      }
    }
    #expect(Set(encoded) == Set(wanted))
  }

  @Test(
    "kernels equal the plain twin",
    arguments: Codec.table.filter { $0.type.isBlock }.map(\.type), NumberSet.allCases)
  func twinsAgree(type: ElementType, set: NumberSet) throws {
    let codec = try #require(Codec.codec(for: type))
    guard codec.isWritable else { return }
    // Odd numbers of blocks, so that groups of lanes are left half empty.
    for (columns, rows) in [(256 * 7, 9), (256, 1), (256 * 3, 2)] {
      let values = set.values(count: columns * rows, seed: UInt64(columns))
      let weights = NumberSet.importance(count: columns, seed: 3)
      for importance in codec.needsImportance ? [weights] : [nil, weights] {
        let plain = try GGMLTests.encode(codec, values, importance, .plain, columns: columns)
        for level in KernelLevel.available {
          let bytes = try GGMLTests.encode(codec, values, importance, level, columns: columns)
          let place = GGMLTests.difference(bytes, plain)
          #expect(place == nil, "\(level) \(columns) × \(rows) \(importance == nil)")
        }
      }
    }
  }

  @Test(
    "rows do not depend on one another",
    arguments: Codec.table.filter(\.isWritable).map(\.type))
  func rowsAreIndependent(type: ElementType) throws {
    let codec = try #require(Codec.codec(for: type))
    guard type.isBlock else { return }
    let values = NumberSet.outliers.values(count: 6 * 768, seed: 1)
    let importance = NumberSet.importance(count: 768, seed: 2)
    let whole = try GGMLTests.encode(codec, values, importance, .best, columns: 768)
    let parts = try [0..<1, 1..<4, 4..<6].flatMap { rows in
      try GGMLTests.encode(
        codec, Array(values[rows.lowerBound * 768..<rows.upperBound * 768]), importance, .best,
        columns: 768)
    }
    #expect(GGMLTests.difference(whole, parts) == nil)
  }

  @Test("a product takes weights in blocks", arguments: [ElementType.q4K, .q80, .iq4NL])
  func multiplies(type: ElementType) throws {
    let (inner, outer, codec) = (768, 5, try #require(Codec.codec(for: type)))
    let stored = try GGMLTests.encode(
      codec, NumberSet.normal.values(count: inner * outer), nil, .best, columns: inner)
    let plain = memory(4 * inner * outer)
    stored.withUnsafeBytes { codec.decode($0, into: plain.mutableFloats) }
    let x = NumberSet.normal.values(count: 3 * inner, seed: 1)
    let results = [(type, memory(stored)), (.f32, plain)].map { type, storage in
      let weights = WeightMatrix(type: type, rows: outer, columns: inner, storage: storage)
      let y = memory(4 * 3 * outer)
      x.withUnsafeBufferPointer { x in
        MatrixProduct.multiply(
          FloatMatrix(x.baseAddress!, rows: 3, columns: inner), weights, rows: 0..<outer,
          into: MutableFloatMatrix(y.mutableFloats.baseAddress!, rows: 3, columns: outer),
          scratch: ProductScratch())
      }
      return Array(y.bytes)
    }
    #expect(results[0] == results[1])
  }

  @Test(
    "block types, packed codes and foreign types are no safetensors types",
    arguments: ElementType.allCases)
  func safetensorsNames(type: ElementType) {
    let isNone = type.isBlock || type.isPackedCode || type.isForeign
    #expect((ElementType(safetensorsName: type.rawValue) == nil) == isNone)
    if let id = type.ggmlID { #expect(ElementType(ggmlID: id) == type) }
  }
}
