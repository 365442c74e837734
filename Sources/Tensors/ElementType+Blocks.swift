/// How a GGML type packs elements: in blocks of so many elements and bytes.
package struct BlockLayout: Sendable, Hashable {
  /// The number that GGUF files use for the type.
  package let id: UInt32
  /// Elements in a block; a row of a tensor is a whole number of blocks.
  package let elements: Int
  /// Bytes in a block.
  package let bytes: Int
}

extension ElementType {
  /// How the type packs its elements; nil for the types whose elements stand alone.
  package var block: BlockLayout? { plainBits == nil ? ElementType.blocks[self] : nil }

  /// Whether elements are stored in blocks that share scales.
  package var isBlock: Bool { block != nil }

  /// Elements that are stored together: 1 for the types whose elements stand alone in whole bytes.
  package var blockElements: Int { block?.elements ?? 1 }

  /// Where an element starts that is the first of its byte or block.
  package func byteOffset(of element: Int) -> Int {
    guard let offset = byteCount(elements: element) else {
      preconditionFailure("\(rawValue) has no element \(element) at the start of a block")
    }
    return offset
  }

  /// The number that GGUF files use for the type; nil where GGUF has none.
  package var ggmlID: UInt32? { block?.id ?? ElementType.plainIDs[self] }

  /// The type with this number in GGUF files; nil where Fathom knows none.
  package init?(ggmlID: UInt32) {
    guard let type = ElementType.byID[ggmlID] else { return nil }
    self = type
  }

  private static let blocks: [ElementType: BlockLayout] = [
    .q40: BlockLayout(id: 2, elements: 32, bytes: 18),
    .q41: BlockLayout(id: 3, elements: 32, bytes: 20),
    .q50: BlockLayout(id: 6, elements: 32, bytes: 22),
    .q51: BlockLayout(id: 7, elements: 32, bytes: 24),
    .q80: BlockLayout(id: 8, elements: 32, bytes: 34),
    .q2K: BlockLayout(id: 10, elements: 256, bytes: 84),
    .q3K: BlockLayout(id: 11, elements: 256, bytes: 110),
    .q4K: BlockLayout(id: 12, elements: 256, bytes: 144),
    .q5K: BlockLayout(id: 13, elements: 256, bytes: 176),
    .q6K: BlockLayout(id: 14, elements: 256, bytes: 210),
    .iq2XXS: BlockLayout(id: 16, elements: 256, bytes: 66),
    .iq2XS: BlockLayout(id: 17, elements: 256, bytes: 74),
    .iq3XXS: BlockLayout(id: 18, elements: 256, bytes: 98),
    .iq1S: BlockLayout(id: 19, elements: 256, bytes: 50),
    .iq4NL: BlockLayout(id: 20, elements: 32, bytes: 18),
    .iq3S: BlockLayout(id: 21, elements: 256, bytes: 110),
    .iq2S: BlockLayout(id: 22, elements: 256, bytes: 82),
    .iq4XS: BlockLayout(id: 23, elements: 256, bytes: 136),
    .iq1M: BlockLayout(id: 29, elements: 256, bytes: 56),
    .tq10: BlockLayout(id: 34, elements: 256, bytes: 54),
    .tq20: BlockLayout(id: 35, elements: 256, bytes: 66),
    .mxfp4: BlockLayout(id: 39, elements: 32, bytes: 17),
    .nvfp4: BlockLayout(id: 40, elements: 64, bytes: 36),
    .q10: BlockLayout(id: 41, elements: 128, bytes: 18),
    .q20: BlockLayout(id: 42, elements: 64, bytes: 18),
  ]

  private static let plainIDs: [ElementType: UInt32] = [
    .f32: 0, .f16: 1, .i8: 24, .i16: 25, .i32: 26, .i64: 27, .f64: 28, .bf16: 30,
  ]

  private static let byID = Dictionary(
    uniqueKeysWithValues: allCases.compactMap { type in type.ggmlID.map { ($0, type) } })
}
