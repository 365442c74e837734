internal import Platform
internal import Tensors

/// How a matrix lies in a file that holds its columns where its rows are expected: reading through it
/// gives the bytes that the matrix has row by row.
///
/// GPTQ and AWQ store a weight (outputs, inputs) by its inputs, in words of 32 bits. Seen so, their
/// tensors are those of compressed-tensors, which packs the inputs of one output.
package struct Arrangement: Sendable, Hashable {
  /// What an element is, and what becomes of it.
  package enum Element: Sendable, Hashable {
    /// So many bytes that stay as they are: numbers, or words of codes that belong to one row.
    case bytes(Int)
    /// Words of zero points, each stored less one: the number that is added makes them whole, a carry
    /// going on to the next code as it was borrowed (GPTQ's first format).
    case wordsLessOne(UInt32)
    /// Words whose eight codes of 4 bits stand in AWQ's order.
    case interleavedWords
    /// Codes of 4 bits of their own: eight rows of one column in a word, in AWQ's order.
    case interleavedCodes
  }

  /// What its elements are.
  package let element: Element
  /// Rows as they are seen, in elements.
  package let rows: Int
  /// Columns as they are seen, in elements: the lines of the file.
  package let columns: Int

  /// Describes a matrix (rows, columns) of elements; codes fill whole words in both directions.
  package init(_ element: Element, rows: Int, columns: Int) {
    precondition(rows > 0 && columns > 0)
    precondition(element != .interleavedCodes || rows % 8 == 0 && columns % 8 == 0)
    self.element = element
    self.rows = rows
    self.columns = columns
  }

  /// Where in a word of AWQ's the code of each of eight rows stands, in codes.
  ///
  /// Source: AutoAWQ's `AWQ_REVERSE_ORDER`.
  static let interleaving: [UInt32] = [0, 4, 1, 5, 2, 6, 3, 7]

  /// Bytes that it takes, as it is seen and in the file.
  var byteCount: Int { rows * rowBytes }

  /// Bytes of a row as it is seen.
  private var rowBytes: Int {
    switch element {
    case .bytes(let count): columns * count
    case .wordsLessOne, .interleavedWords: columns * 4
    case .interleavedCodes: columns / 2
    }
  }

  /// Bytes of a line of the file, which holds a column.
  private var lineBytes: Int { byteCount / columns }

  /// Rows that stand in one unit of a line, and its bytes.
  private var unit: (rows: Int, bytes: Int) {
    switch element {
    case .bytes(let count): (1, count)
    case .wordsLessOne, .interleavedWords: (1, 4)
    case .interleavedCodes: (8, 4)
    }
  }

  /// Where in the file, counted from the tensor's start, a byte as it is seen comes from.
  package func place(ofByte byte: Int) -> Int {
    let (row, rest) = byte.quotientAndRemainder(dividingBy: rowBytes)
    let column = rest * columns / rowBytes
    return column * lineBytes + row / unit.rows * unit.bytes
  }

  // MARK: Reading

  /// Most bytes of the file that are read at a time.
  private static let pieceBytes = 1 << 18
  /// A line of which less than this part is wanted is read for itself, unless it is shorter than what
  /// a call of the system costs.
  private static let leastPart = 8
  private static let shortLine = 1 << 13

  /// Puts bytes, as they are seen, into memory.
  ///
  /// - Parameters:
  ///   - start: the first of them.
  ///   - fetch: reads bytes of the file, counted from the tensor's start.
  func read(
    from start: Int, into target: UnsafeMutableRawBufferPointer,
    _ fetch: (Int, UnsafeMutableRawBufferPointer) throws(Fault) -> Void
  ) throws(Fault) {
    guard !target.isEmpty else { return }
    let first = start / rowBytes
    let last = (start + target.count - 1) / rowBytes
    if start == first * rowBytes, start + target.count == (last + 1) * rowBytes {
      return try read(rows: first..<last + 1, into: target, fetch)
    }
    // What begins or ends within a row is cut out of whole ones.
    let whole = ByteBuffer(count: (last + 1 - first) * rowBytes)
    try read(rows: first..<last + 1, into: whole.bytes, fetch)
    target.copyBytes(
      from: whole.bytes[start - first * rowBytes..<start - first * rowBytes + target.count])
  }

  private func read(
    rows: Range<Int>, into target: UnsafeMutableRawBufferPointer,
    _ fetch: (Int, UnsafeMutableRawBufferPointer) throws(Fault) -> Void
  ) throws(Fault) {
    // Rows of a word are read with it.
    let units = rows.lowerBound / unit.rows..<(rows.upperBound + unit.rows - 1) / unit.rows
    let wanted = units.count * unit.bytes
    let isWhole = lineBytes <= max(Arrangement.shortLine, wanted * Arrangement.leastPart)
    let length = isWhole ? lineBytes : wanted
    let skip = isWhole ? units.lowerBound * unit.bytes : 0
    // Eight columns of codes share a word.
    let linesAtOnce = isWhole ? max(8, Arrangement.pieceBytes / lineBytes / 8 * 8) : 8
    let piece = ByteBuffer(count: min(columns, linesAtOnce) * length)
    for column in stride(from: 0, to: columns, by: linesAtOnce) {
      let lines = column..<min(columns, column + linesAtOnce)
      if isWhole {
        try fetch(
          column * lineBytes,
          UnsafeMutableRawBufferPointer(rebasing: piece.bytes[..<(lines.count * length)]))
      } else {
        for (index, line) in lines.enumerated() {
          try fetch(
            line * lineBytes + units.lowerBound * unit.bytes,
            UnsafeMutableRawBufferPointer(
              rebasing: piece.bytes[index * length..<(index + 1) * length]))
        }
      }
      spread(
        UnsafeRawBufferPointer(piece.bytes), lineBytes: length, skip: skip, lines, rows,
        into: target)
    }
  }

  /// Lines of the file → their columns of some rows.
  ///
  /// - Parameter skip: bytes of each line before the first unit of the rows.
  private func spread(
    _ piece: UnsafeRawBufferPointer, lineBytes: Int, skip: Int, _ lines: Range<Int>,
    _ rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) {
    func words(_ change: (UInt32) -> UInt32) {
      for (index, column) in lines.enumerated() {
        for row in 0..<rows.count {
          let word = piece.loadUnaligned(
            fromByteOffset: index * lineBytes + skip + row * 4, as: UInt32.self)
          target.storeBytes(
            of: change(UInt32(littleEndian: word)).littleEndian,
            toByteOffset: row * rowBytes + column * 4, as: UInt32.self)
        }
      }
    }
    switch element {
    case .bytes(4): words { $0 }
    case .bytes(let count):
      for (index, column) in lines.enumerated() {
        for row in 0..<rows.count {
          for byte in 0..<count {
            target[row * rowBytes + column * count + byte] =
              piece[index * lineBytes + skip + row * count + byte]
          }
        }
      }
    case .wordsLessOne(let ones): words { $0 &+ ones }
    case .interleavedWords: words(Arrangement.inOrder)
    case .interleavedCodes:
      for index in stride(from: 0, to: lines.count, by: 8) {
        for unit in rows.lowerBound / 8..<(rows.upperBound + 7) / 8 {
          let start = index * lineBytes + skip + (unit - rows.lowerBound / 8) * 4
          let block = Arrangement.exchanged { line in
            UInt32(
              littleEndian: piece.loadUnaligned(
                fromByteOffset: start + line * lineBytes, as: UInt32.self))
          }
          for place in 0..<8 where rows.contains(unit * 8 + place) {
            target.storeBytes(
              of: block[Arrangement.places[place]].littleEndian,
              toByteOffset: (unit * 8 + place - rows.lowerBound) * rowBytes
                + (lines.lowerBound + index) / 2,
              as: UInt32.self)
          }
        }
      }
    }
  }

  /// The same order as where in a word each of eight rows stands.
  private static let places = SIMD8<Int>(interleaving.map { Int($0) })

  /// Eight words of eight codes → eight words of which the first has all first codes.
  ///
  /// Halves of words change places, then bytes of them, then codes.
  @inline(__always)
  private static func exchanged(_ word: (Int) -> UInt32) -> SIMD8<UInt32> {
    var words = SIMD8<UInt32>()
    for line in 0..<8 { words[line] = word(line) }
    exchange(&words, distance: 4, shift: 16, mask: 0x0000_FFFF)
    exchange(&words, distance: 2, shift: 8, mask: 0x00FF_00FF)
    exchange(&words, distance: 1, shift: 4, mask: 0x0F0F_0F0F)
    return words
  }

  /// The upper parts of words change places with the lower ones of those at a distance.
  @inline(__always)
  private static func exchange(
    _ words: inout SIMD8<UInt32>, distance: Int, shift: UInt32, mask: UInt32
  ) {
    for first in 0..<8 where first & distance == 0 {
      let change = (words[first] &>> shift ^ words[first + distance]) & mask
      words[first + distance] ^= change
      words[first] ^= change &<< shift
    }
  }

  /// A word of AWQ's with its codes one after the other.
  private static func inOrder(_ word: UInt32) -> UInt32 {
    zip(interleaving, 0 as UInt32..<8).reduce(0) { result, code in
      result | (word >> (4 * code.0) & 15) << (4 * code.1)
    }
  }
}
