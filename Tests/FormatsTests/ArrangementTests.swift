import Formats
import Platform
import Support
import Tensors
import Testing

/// Matrices that files hold by their columns, against words that were put together by hand.
@Suite struct ArrangementTests {
  /// Bytes as a tensor (rows, columns) of words.
  private func stored(
    _ words: [UInt32], _ shape: [Int], _ workspace: Workspace
  ) throws -> (Inventory, StoredTensor) {
    let bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
    let fixture = SafetensorsFixture([("w", .i32, shape)])
    let path = try workspace.write("w.safetensors", fixture.header + bytes)
    let inventory = try Inventory(safetensorsFile: path)
    return (inventory, try #require(inventory["w"]))
  }

  /// Any range of bytes is that part of the whole, and each byte comes from the place that is told.
  private func check(
    _ inventory: Inventory, _ tensor: StoredTensor, _ element: Arrangement.Element,
    _ shape: [Int], in dimensions: (rows: Int, columns: Int), is expected: [UInt8]
  ) throws {
    let arrangement = Arrangement(element, rows: dimensions.rows, columns: dimensions.columns)
    let seenShape = try #require(Shape(shape))
    let seen = try #require(tensor.seen(as: .i32, seenShape, arrangement))
    let whole = try inventory.read(seen)
    #expect(Array(whole.bytes) == expected)
    for start in 0..<expected.count {
      for end in Set([start + 1, start + 5, expected.count]) where end <= expected.count {
        let part = ByteBuffer(count: end - start)
        try inventory.read(seen, from: start, into: part.bytes)
        #expect(Array(part.bytes) == Array(expected[start..<end]), "\(start)..<\(end)")
      }
    }
    // A renamed tensor lies as it did; parts of it do not lie together.
    #expect(seen.renamed("other").arrangement == arrangement)
    #expect(seen.rowParts(2) == nil && seen.slices(shape[0]) == nil)
  }

  @Test func wordsOfOneRowAreExchangedWhole() throws {
    let workspace = try Workspace()
    // Three lines of two words: what is seen has two rows of three.
    let (inventory, tensor) = try stored([1, 2, 3, 4, 5, 6], [3, 2], workspace)
    let expected = [1, 3, 5, 2, 4, 6].flatMap { (value: UInt8) -> [UInt8] in [value, 0, 0, 0] }
    try check(inventory, tensor, .bytes(4), [2, 3], in: (2, 3), is: expected)
    let arrangement = Arrangement(.bytes(4), rows: 2, columns: 3)
    let seenShape = try #require(Shape([2, 3]))
    let seen = try #require(tensor.seen(as: .i32, seenShape, arrangement))
    // The second word is the third of the file.
    #expect(seen.place(ofByte: 4) == tensor.offset + 8)
    #expect(seen.place(ofByte: 12) == tensor.offset + 4)
  }

  @Test func elementsOfTwoBytesToo() throws {
    let workspace = try Workspace()
    let (inventory, tensor) = try stored([0x0002_0001, 0x0004_0003], [2, 1], workspace)
    try check(
      inventory, tensor, .bytes(2), [2, 1], in: (2, 2), is: [1, 0, 3, 0, 2, 0, 4, 0])
  }

  /// The carry goes on where a zero point of zero was stored as −1, with its borrow.
  @Test func onesAreAddedToWords() throws {
    let workspace = try Workspace()
    // Codes 8 seven times over 0, less one each: 0x77777777 and its borrow.
    let (inventory, tensor) = try stored(
      [0x8888_8880 &- 0x1111_1111, 0x7777_7777], [1, 2], workspace)
    try check(
      inventory, tensor, .wordsLessOne(0x1111_1111), [2, 1], in: (2, 1),
      is: [0x80, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88])
  }

  /// AWQ's words hold codes 0, 2, 4, 6, 1, 3, 5, 7 from the lowest on.
  @Test func codesComeInOrder() throws {
    let workspace = try Workspace()
    let (inventory, tensor) = try stored([0x8642_7531, 0xFDB9_ECA8], [2, 1], workspace)
    try check(
      inventory, tensor, .interleavedWords, [1, 2], in: (1, 2),
      is: [0x21, 0x43, 0x65, 0x87, 0x98, 0xBA, 0xDC, 0xFE])
  }

  /// Eight lines of one word: eight rows of eight codes, which are one of each line.
  @Test func codesAreExchangedOneByOne() throws {
    let workspace = try Workspace()
    // Line n holds n + 0 … n + 7, modulo 16, for rows 0 … 7.
    var lines: [UInt32] = []
    for line in 0..<8 {
      var word: UInt32 = 0
      for (place, row) in [0, 2, 4, 6, 1, 3, 5, 7].enumerated() {
        word |= UInt32((line + row) % 16) << UInt32(4 * place)
      }
      lines.append(word)
    }
    let (inventory, tensor) = try stored(lines, [8, 1], workspace)
    var expected: [UInt8] = []
    for row in 0..<8 {
      for pair in 0..<4 {
        let (low, high) = ((row + 2 * pair) % 16, (row + 2 * pair + 1) % 16)
        expected.append(UInt8(low + 16 * high))
      }
    }
    try check(inventory, tensor, .interleavedCodes, [8, 1], in: (8, 8), is: expected)
  }

  @Test func bytesThatDoNotFillItAreNone() throws {
    let workspace = try Workspace()
    let (_, tensor) = try stored([1, 2, 3, 4], [2, 2], workspace)
    let arrangement = Arrangement(.bytes(4), rows: 3, columns: 2)
    #expect(tensor.seen(as: .i32, try #require(Shape([2, 2])), arrangement) == nil)
  }
}
