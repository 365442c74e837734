import Codecs
import Support
import Tensors
import Testing

/// Matrices for the schemes of groups, of which `scripts/make group-fixtures` makes the same ones.
struct GroupMatrix {
  let type: ElementType
  let rows: Int
  let columns: Int
  /// The stored elements; numbers that the type does not hold are 1.
  var source: ByteBuffer

  init(_ set: NumberSet, _ type: ElementType, rows: Int, columns: Int, seed: UInt64 = 11) {
    (self.type, self.rows, self.columns) = (type, rows, columns)
    source = stored(set.values(count: rows * columns, seed: seed), type)
    source = stored(values.map { $0.isFinite ? $0 : 1 }, type)
  }

  var values: [Float] { numbers(source, type) }

  var largest: Float { values.reduce(0) { max($0, $1.magnitude) } }

  func quantizer(_ scheme: GroupScheme) -> GroupQuantizer {
    GroupQuantizer(
      scheme,
      globalScale: GroupQuantizer.globalScale(scheme, largest: largest, type: type))
  }

  /// codes, scales and offsets of some rows
  func parts(
    _ quantizer: GroupQuantizer, rows: Range<Int>? = nil, _ level: KernelLevel
  ) -> [ByteBuffer] {
    let (scheme, rows) = (quantizer.scheme, rows ?? 0..<self.rows)
    let sizes = [
      rows.count * scheme.codeBytes(columns: columns),
      scheme.scaleBytes(rows: rows.count, columns: columns, type: type),
      scheme.offsetBytes(rows: rows.count, columns: columns, type: type),
    ]
    let parts = sizes.map { memory([UInt8](repeating: 0xA5, count: $0)) }
    let rowBytes = type.byteOffset(of: columns)
    quantizer.quantize(
      UnsafeRawBufferPointer(
        rebasing: source.bytes[rows.lowerBound * rowBytes..<rows.upperBound * rowBytes]),
      type: type, rows: rows.count, columns: columns,
      into: GroupOutput(
        codes: parts[0].bytes, scales: parts[1].bytes,
        offsets: sizes[2] == 0 ? nil : parts[2].bytes), level: level)
    return parts
  }

  /// Groups that a peer loses at the end of its type's range become zero; returns how many.
  mutating func clearLost(_ scheme: GroupScheme) -> Int {
    var (values, lost) = (values, 0)
    let group = scheme.group ?? columns
    for start in stride(from: 0, to: values.count, by: group) {
      let largest = values[start..<start + group].reduce(0) { max($0, $1.magnitude) }
      guard isLost(largest, scheme) else { continue }
      lost += 1
      for index in start..<start + group { values[index] = 0 }
    }
    source = stored(values, type)
    return lost
  }

  private func isLost(_ largest: Float, _ scheme: GroupScheme) -> Bool {
    switch scheme {
    case .mlxMXFP4, .mlxMXFP8:
      let ratio = stored([largest / (scheme == .mlxMXFP4 ? 6 : 448)], type)
      let value = numbers(ratio, type)
      return value[0] > 0 && value[0] <= 0x1p-128
    case .mxfp4: return largest >= (type == .f16 ? 0x1.Cp15 : 0x1.Cp127)
    default: return false
    }
  }
}

/// Values rounded to a type.
func stored(_ values: [Float], _ type: ElementType) -> ByteBuffer {
  let bytes = memory(type.byteOffset(of: values.count))
  values.withUnsafeBufferPointer { Codec.codec(for: type)!.encode($0, into: bytes.bytes) }
  return bytes
}

/// The values of stored elements.
func numbers(_ bytes: ByteBuffer, _ type: ElementType) -> [Float] {
  let values = memory(4 * (8 * bytes.count / type.bits)).mutableFloats
  Codec.codec(for: type)!.decode(UnsafeRawBufferPointer(bytes.bytes), into: values)
  return Array(values)
}

@Suite struct GroupTests {
  static let answers = Dictionary(grouping: HashedAnswer.read("group-encoded")) { $0.words[0] }

  @Test("the peer's codes, scales and offsets", arguments: GroupScheme.table, KernelLevel.available)
  func quantizesAsPeer(scheme: GroupScheme, level: KernelLevel) throws {
    let answers = try #require(GroupTests.answers["\(scheme)"])
    let types: [ElementType] = [.f32, .f16, .bf16]
    for type in types {
      let sets = answers.filter { $0.words[1] == type.rawValue }.map { $0.words[2] }
      #expect(Set(sets).count == NumberSet.allCases.count - 2)
    }
    for answer in answers {
      let set = try #require(NumberSet(rawValue: answer.words[2]))
      let type = try #require(ElementType(rawValue: answer.words[1]))
      let sizes = answer.words[3...].compactMap { Int($0) }
      var matrix = GroupMatrix(set, type, rows: sizes[0], columns: sizes[1])
      let quantizer = matrix.quantizer(scheme)
      #expect(matrix.clearLost(scheme) == sizes[2])
      let parts = matrix.parts(quantizer, level)
      #expect(hash(parts.flatMap { Array($0.bytes) }) == answer.hash, "\(answer)")
    }
  }

  static let blocks = ["fp8-channel", "fp8-16x48"]

  @Test("compressed-tensors' FP8", arguments: blocks, KernelLevel.available)
  func quantizesFP8(name: String, level: KernelLevel) throws {
    for answer in try #require(GroupTests.answers[name]) {
      let set = try #require(NumberSet(rawValue: answer.words[2]))
      let type = try #require(ElementType(rawValue: answer.words[1]))
      let (rows, columns) = (Int(answer.words[3])!, Int(answer.words[4])!)
      let matrix = GroupMatrix(set, type, rows: rows, columns: columns)
      let source = UnsafeRawBufferPointer(matrix.source.bytes)
      let quantizer =
        name == "fp8-channel"
        ? BlockQuantizer(blockRows: 1, blockColumns: columns, scaleFormat: .sourceType)
        : BlockQuantizer(blockRows: 16, blockColumns: 48, scaleFormat: .sourceType)
      let scales = memory(
        4 * quantizer.gridRows(rows: rows) * quantizer.gridColumns(columns: columns))
      quantizer.findScales(
        source, type: type, rows: rows, columns: columns, into: scales.mutableFloats, level: level)
      let codes = memory(rows * columns)
      quantizer.encode(
        source, type: type, rows: rows, columns: columns, scales: scales.floats, into: codes.bytes,
        level: level)
      #expect(hash(Array(codes.bytes) + Array(scales.bytes)) == answer.hash, "\(answer)")
    }
  }

  /// Rows are quantized in any order and by many threads: what follows one belongs to another.
  @Test("nothing is written behind a row", arguments: GroupScheme.table, KernelLevel.available)
  func staysWithinRows(scheme: GroupScheme, level: KernelLevel) throws {
    let matrix = GroupMatrix(.outliers, .bf16, rows: 1, columns: 384)
    let count = scheme.codeBytes(columns: 384)
    let room = memory([UInt8](repeating: 0xA5, count: count + 64))
    matrix.quantizer(scheme).quantize(
      UnsafeRawBufferPointer(matrix.source.bytes), type: .bf16, rows: 1, columns: 384,
      into: GroupOutput(
        codes: UnsafeMutableRawBufferPointer(rebasing: room.bytes[..<count]), scales: nil,
        offsets: nil), level: level)
    #expect(room.bytes[count...].allSatisfy { $0 == 0xA5 })
    #expect(
      room.bytes[..<count].elementsEqual(matrix.parts(matrix.quantizer(scheme), level)[0].bytes))
  }

  @Test("a band has the bytes of the whole, each part alone too", arguments: GroupScheme.table)
  func dividesWork(scheme: GroupScheme) throws {
    let matrix = GroupMatrix(.outliers, .bf16, rows: 19, columns: 384)
    let quantizer = matrix.quantizer(scheme)
    let whole = matrix.parts(quantizer, .best)
    let bands = [0..<8, 8..<16, 16..<19].map { matrix.parts(quantizer, rows: $0, .best) }
    for (index, part) in whole.enumerated() {
      #expect(Array(part.bytes) == bands.flatMap { Array($0[index].bytes) })
      guard part.count > 0 else { continue }
      let alone = memory(part.count)
      quantizer.quantize(
        UnsafeRawBufferPointer(matrix.source.bytes), type: .bf16, rows: 19, columns: 384,
        into: GroupOutput(
          codes: index == 0 ? alone.bytes : nil, scales: index == 1 ? alone.bytes : nil,
          offsets: index == 2 ? alone.bytes : nil))
      #expect(difference(alone, part) == nil)
    }
  }

  /// Where a peer loses a group, its values stay what they were within the error of the codes.
  @Test("groups that a peer loses are kept", arguments: KernelLevel.available)
  func keepsLostGroups(level: KernelLevel) throws {
    let lost: [(GroupScheme, ElementType, NumberSet)] = [
      (.mlxMXFP4, .f32, .denormal), (.mlxMXFP4, .bf16, .denormal), (.mlxMXFP8, .f32, .denormal),
      (.mxfp4, .f32, .bits), (.mxfp4, .f16, .mixed),
    ]
    for (scheme, type, set) in lost {
      let matrix = GroupMatrix(set, type, rows: 8, columns: 512)
      let parts = matrix.parts(matrix.quantizer(scheme), level)
      let grid = scheme.blockScales(
        UnsafeRawBufferPointer(parts[1].bytes), scaleType: .f8E8M0, rows: 8, columns: 512)
      let values = memory(4 * 8 * 512)
      grid.decode(
        UnsafeRawBufferPointer(parts[0].bytes), type: scheme.code,
        tile: MatrixTile(rows: 0..<8, width: 512), into: values.mutableFloats)
      for (index, value) in matrix.values.enumerated() {
        let scale = grid.values[index / 32]
        #expect(abs(values.floats[index] - value) <= scale * 2, "\(scheme) \(type) \(value)")
      }
    }
  }
}
