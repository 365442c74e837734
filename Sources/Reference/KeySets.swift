internal import Tensors

/// The keys that the token of each row sees, as an indexer has chosen them: a bit for each key of the
/// token's own sequence, by its place there.
///
/// They travel with the residual stream (`Activations.chosenKeys`), because layers without an indexer
/// take over those of the one before. Workers fill disjoint rows; whoever reads them does so after the
/// workers have been joined, hence `@unchecked`.
package final class KeySets: @unchecked Sendable {
  /// Tokens.
  package let rows: Int
  /// 64-bit words that hold the bits of a row.
  package let words: Int
  /// For each row its words, and one that is not 0 where a key was left out whose score is that of
  /// one that was chosen.
  private let buffer: ByteBuffer

  /// Makes room for sequences of at most `longest` tokens. All rows must be written before any is
  /// read.
  init(rows: Int, longest: Int) {
    self.rows = rows
    words = (longest + 63) / 64
    buffer = ByteBuffer(count: rows * KeySets.bytesPerRow(longest: longest))
  }

  /// Makes room for rows of so many words, as `words` of another says.
  package init(rows: Int, words: Int) {
    self.rows = rows
    self.words = words
    buffer = ByteBuffer(count: rows * (words + 1) * MemoryLayout<UInt64>.stride)
  }

  /// Bytes that a row takes.
  static func bytesPerRow(longest: Int) -> Int {
    ((longest + 63) / 64 + 1) * MemoryLayout<UInt64>.stride
  }

  /// All of it, for whoever keeps it elsewhere for a while; valid while this object is held.
  package var bytes: UnsafeMutableRawBufferPointer { buffer.bytes }

  private func line(_ row: Int) -> UnsafeMutableBufferPointer<UInt64> {
    precondition(row >= 0 && row < rows)
    return UnsafeMutableBufferPointer(
      rebasing: buffer.bytes.assumingMemoryBound(to: UInt64.self)[
        row * (words + 1)..<(row + 1) * (words + 1)])
  }

  /// The bits of a row, the first key's the lowest of the first word; valid while this object is held.
  subscript(row: Int) -> UnsafeMutableBufferPointer<UInt64> {
    UnsafeMutableBufferPointer(rebasing: line(row)[..<words])
  }

  /// Lets a row see the first `count` keys.
  func setAll(_ row: Int, count: Int) {
    let line = line(row)
    for word in 0...words {
      let present = min(64, max(0, count - word * 64))
      line[word] = word == words || present == 0 ? 0 : ~0 >> UInt64(64 - present)
    }
  }

  /// Lets a row see the `count` keys of the largest scores (keys up to its own).
  func choose(_ row: Int, _ scores: UnsafeBufferPointer<Float>, count: Int) {
    let line = line(row)
    line.update(repeating: 0)
    let bits = UnsafeMutableBufferPointer(rebasing: line[..<words])
    line[words] = TopKeys.choose(count, of: scores, into: bits) ? 1 : 0
  }

  /// How many keys a row sees.
  func count(_ row: Int) -> Int { self[row].reduce(0) { $0 + $1.nonzeroBitCount } }

  /// Rows in which a key was left out that has the score of one that was chosen.
  package var ties: Int { (0..<rows).count { line($0)[words] != 0 } }

  /// Keys that are in a row of both.
  private func common(_ row: Int, _ other: KeySets) -> Int {
    zip(self[row], other[row]).reduce(0) { $0 + ($1.0 & $1.1).nonzeroBitCount }
  }

  /// How many of the keys that the tokens see in one network they see in another too, and how many
  /// there are; nil where both see all keys.
  ///
  /// - Parameters:
  ///   - candidate: the other network's keys; nil where it sees all.
  ///   - lengths: rows of each sequence.
  package static func overlap(
    reference: KeySets?, candidate: KeySets?, lengths: [Int]
  ) -> (common: Int, all: Int)? {
    guard reference != nil || candidate != nil else { return nil }
    var (common, all, row) = (0, 0, 0)
    for length in lengths {
      for position in 0..<length {
        let own = reference?.count(row) ?? position + 1
        all += own
        switch (reference, candidate) {
        case (let one?, let other?): common += one.common(row, other)
        case (nil, let other?): common += other.count(row)
        default: common += own
        }
        row += 1
      }
    }
    return (common, all)
  }

  /// The rows of all parts, one after the other; nil where none has chosen. Parts that see all keys
  /// are those without.
  ///
  /// - Parameter parts: the keys, and the number of rows.
  package static func joined(_ parts: [(keys: KeySets?, rows: Int)]) -> KeySets? {
    guard let words = parts.compactMap({ $0.keys?.words }).max() else { return nil }
    let result = KeySets(rows: parts.reduce(0) { $0 + $1.rows }, words: words)
    var row = 0
    for part in parts {
      let keys = part.keys.padded(rows: part.rows, words: words)
      for source in 0..<part.rows {
        _ = result.line(row).update(fromContentsOf: keys.line(source))
        row += 1
      }
    }
    return result
  }

  /// The same keys in rows of more words.
  fileprivate func padded(words: Int) -> KeySets {
    let result = KeySets(rows: rows, words: words)
    for row in 0..<rows {
      let (target, source) = (result.line(row), line(row))
      for word in 0..<words { target[word] = word < self.words ? source[word] : 0 }
      target[words] = source[self.words]
    }
    return result
  }

  /// A copy of some rows.
  package func rows(_ range: Range<Int>) -> KeySets {
    let result = KeySets(rows: range.count, words: words)
    for (target, source) in range.enumerated() {
      _ = result.line(target).update(fromContentsOf: line(source))
    }
    return result
  }

  /// Whether both let every row see the same keys.
  package func equals(_ other: KeySets) -> Bool {
    rows == other.rows && words == other.words
      && (0..<rows).allSatisfy { self[$0].elementsEqual(other[$0]) }
  }
}

extension KeySets? {
  /// The same keys in rows of so many words, which are enough for them; where nothing was chosen, rows
  /// that see every key.
  package func padded(rows: Int, words: Int) -> KeySets {
    if let self { return self.padded(words: words) }
    let result = KeySets(rows: rows, words: words)
    for row in 0..<rows { result.setAll(row, count: words * 64) }
    return result
  }
}

/// Finds the largest of many scores without sorting them.
package enum TopKeys {
  /// Sets the bits of the `count` largest scores; of equal ones those of the lower index, which torch
  /// leaves open: its `topk` on a processor is a partial sort by values alone. NaN counts as the
  /// largest, as there.
  ///
  /// - Returns: whether one was left out that is equal to one that was not.
  package static func choose(
    _ count: Int, of scores: UnsafeBufferPointer<Float>,
    into bits: UnsafeMutableBufferPointer<UInt64>
  ) -> Bool {
    precondition(count > 0 && count <= scores.count && scores.count <= bits.count * 64)
    // The least that is chosen, eight bits at a time; `wanted` of those that share its first bits.
    var (least, wanted) = (UInt32(0), count)
    for shift in stride(from: UInt32(24), through: 0, by: -8) {
      var histogram = InlineArray<256, Int>(repeating: 0)
      let mask: UInt32 = shift == 24 ? 0 : ~0 << (shift + 8)
      for score in scores {
        let key = order(score)
        if key & mask == least { histogram[Int(key >> shift & 255)] += 1 }
      }
      var digit = 255
      while histogram[digit] < wanted {
        wanted -= histogram[digit]
        digit -= 1
      }
      least |= UInt32(digit) << shift
    }
    var equals = 0
    for (index, score) in scores.enumerated() {
      let key = order(score)
      if key == least { equals += 1 }
      if key > least || key == least && equals <= wanted {
        bits[index >> 6] |= 1 << UInt64(index & 63)
      }
    }
    return equals > wanted
  }

  /// Whole numbers in the order of the scores; both zeros are one.
  private static func order(_ score: Float) -> UInt32 {
    let bits = (score + 0).bitPattern
    return bits >> 31 == 0 ? bits | 1 << 31 : ~bits
  }
}
