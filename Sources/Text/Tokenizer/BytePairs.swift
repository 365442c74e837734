internal import Platform

/// Byte-pair merges over the ids of a vocabulary (Sennrich et al. 2016), as Hugging Face's
/// tokenizers apply them: always the pair of lowest rank, the leftmost of equals.
struct BytePairs: Sendable {
  /// What a pair becomes.
  struct Merge: Sendable {
    let rank: Int32
    let id: Int32
  }

  /// The id of each byte alone, −1 where the vocabulary has none.
  let byteIDs: [Int32]
  /// Merges by the ids of left and right part.
  let merges: [UInt64: Merge]
  /// Ids of whole pieces that are never taken apart; nil where merges decide.
  let words: [[UInt8]: Int32]?

  /// Builds the tables.
  ///
  /// - Parameters:
  ///   - vocabulary: ids by token, in the alphabet of `ByteLevelAlphabet`.
  ///   - pairs: what is merged, in order; of equal ones the last counts, as in tokenizers.
  ///   - keepsWords: whether a piece that is a token is that token, whatever the merges say.
  ///   - file: for messages.
  /// - Throws: `.malformed` for a merge of what is no token, or into what is none.
  init(
    vocabulary: [ExactText: Int], pairs: [(left: String, right: String)], keepsWords: Bool,
    file: String
  ) throws(Fault) {
    var byteIDs = [Int32](repeating: -1, count: 256)
    for (scalar, byte) in ByteLevelAlphabet.bytes {
      if let id = vocabulary[ExactText(String(scalar))] { byteIDs[Int(byte)] = Int32(id) }
    }
    var merges: [UInt64: Merge] = [:]
    merges.reserveCapacity(pairs.count)
    for (rank, pair) in pairs.enumerated() {
      guard let left = vocabulary[ExactText(pair.left)],
        let right = vocabulary[ExactText(pair.right)],
        let merged = vocabulary[ExactText(pair.left + pair.right)]
      else {
        throw Fault(
          .malformed, "merge \(rank) names what is no token", file: file,
          expected: "two tokens that together are a third", found: "\(pair.left) \(pair.right)")
      }
      merges[BytePairs.key(Int32(left), Int32(right))] = Merge(
        rank: Int32(rank), id: Int32(merged))
    }
    self.byteIDs = byteIDs
    self.merges = merges
    guard keepsWords else {
      words = nil
      return
    }
    var words: [[UInt8]: Int32] = [:]
    words.reserveCapacity(vocabulary.count)
    for (token, id) in vocabulary {
      if let bytes = ByteLevelAlphabet.bytes(of: token.text) { words[bytes] = Int32(id) }
    }
    self.words = words
  }

  /// Builds the tables of tiktoken's tokens: of all pairs that together are a token, the one whose
  /// token has the lowest rank is merged first, whatever its two parts are. A piece that is a token is
  /// never taken apart.
  ///
  /// Source: `byte_pair_merge` and `CoreBPE::encode` of tiktoken 0.14.
  init(_ vocabulary: TiktokenRanks) {
    var merges: [UInt64: Merge] = [:]
    merges.reserveCapacity(2 * vocabulary.tokens.count)
    for (rank, token) in vocabulary.tokens.enumerated() {
      let merge = Merge(rank: Int32(rank), id: Int32(rank))
      for place in token.indices.dropFirst() {
        guard let left = vocabulary.ranks[Array(token[..<place])],
          let right = vocabulary.ranks[Array(token[place...])]
        else { continue }
        merges[BytePairs.key(left, right)] = merge
      }
    }
    byteIDs = (UInt8.min...UInt8.max).map { vocabulary.ranks[[$0]] ?? -1 }
    self.merges = merges
    words = vocabulary.ranks
  }

  static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }
}

/// Turns pieces of one text into ids, and remembers what pieces became.
struct BytePairEncoder {
  /// Most ids that are remembered: some 100 MB with their keys, far beyond the words of a language.
  private static let memoryLimit = 1 << 21
  /// Longest piece that is remembered, in bytes.
  private static let pieceLimit = 256

  private let pairs: BytePairs
  /// Ids of the pieces seen so far, one after the other.
  private var remembered: [Int32] = []
  /// Places in `remembered` of pieces of up to 15 bytes, which with their length are one number.
  private var shortPieces: [UInt128: Range<Int>] = [:]
  private var longPieces: [[UInt8]: Range<Int>] = [:]
  /// Symbols of the piece at hand, a doubly linked list; those merged away have id −1.
  private var ids: [Int32] = []
  private var previous: [Int32] = []
  private var next: [Int32] = []
  private var queue = MergeQueue()
  /// Merges of this rank and higher ones are not made.
  private var limit = Int32.max

  init(_ pairs: BytePairs) { self.pairs = pairs }

  /// What merges below a rank make of a token's bytes.
  mutating func parts(of token: [UInt8], below rank: Int32) -> [Int32] {
    limit = rank
    defer { limit = .max }
    guard mergeBytes(of: token[...]) == nil else { return [] }
    return ids.filter { $0 >= 0 }
  }

  /// Appends the ids of a piece.
  ///
  /// - Returns: the first byte that the vocabulary has no token for, if there is one.
  mutating func encode(_ piece: ArraySlice<UInt8>, into result: inout [Int]) -> UInt8? {
    let isShort = piece.count <= 15
    var short: UInt128 = 0
    if isShort {
      for byte in piece { short = short << 8 | UInt128(byte) }
      short = short << 8 | UInt128(piece.count)
      if let range = shortPieces[short] {
        for id in remembered[range] { result.append(Int(id)) }
        return nil
      }
    } else if piece.count <= BytePairEncoder.pieceLimit, let range = longPieces[Array(piece)] {
      for id in remembered[range] { result.append(Int(id)) }
      return nil
    }
    if let strange = merge(piece) { return strange }
    if remembered.count > BytePairEncoder.memoryLimit {
      (remembered, shortPieces, longPieces) = ([], [:], [:])
    }
    let start = remembered.count
    for id in ids where id >= 0 { result.append(Int(id)) }
    guard piece.count <= BytePairEncoder.pieceLimit else { return nil }
    for id in ids where id >= 0 { remembered.append(id) }
    if isShort {
      shortPieces[short] = start..<remembered.count
    } else {
      longPieces[Array(piece)] = start..<remembered.count
    }
    return nil
  }

  /// Fills `ids` with what the piece becomes.
  private mutating func merge(_ piece: ArraySlice<UInt8>) -> UInt8? {
    ids.removeAll(keepingCapacity: true)
    if let id = pairs.words?[Array(piece)] {
      ids.append(id)
      return nil
    }
    return mergeBytes(of: piece)
  }

  /// Fills `ids` with what merges make of the piece.
  private mutating func mergeBytes(of piece: ArraySlice<UInt8>) -> UInt8? {
    ids.removeAll(keepingCapacity: true)
    for byte in piece {
      let id = pairs.byteIDs[Int(byte)]
      if id < 0 { return byte }
      ids.append(id)
    }
    let count = Int32(ids.count)
    previous.removeAll(keepingCapacity: true)
    next.removeAll(keepingCapacity: true)
    for place in 0..<count {
      previous.append(place - 1)
      next.append(place + 1 < count ? place + 1 : -1)
    }
    for place in ids.indices.dropLast() { propose(place) }
    while let best = queue.removeFirst() {
      let place = Int(best.place)
      guard ids[place] >= 0, next[place] >= 0 else { continue }
      let right = Int(next[place])
      // The pair may have grown since; then it becomes another token, or none.
      guard let merge = pairs.merges[BytePairs.key(ids[place], ids[right])], merge.id == best.id
      else { continue }
      ids[place] = best.id
      ids[right] = -1
      next[place] = next[right]
      if next[right] >= 0 { previous[Int(next[right])] = best.place }
      if previous[place] >= 0 { propose(Int(previous[place])) }
      propose(place)
    }
    return nil
  }

  /// Queues the pair that begins at `place`, if it can be merged.
  private mutating func propose(_ place: Int) {
    guard next[place] >= 0,
      let merge = pairs.merges[BytePairs.key(ids[place], ids[Int(next[place])])], merge.rank < limit
    else { return }
    queue.insert(MergeQueue.Entry(rank: merge.rank, place: Int32(place), id: merge.id))
  }
}

/// Merges that are possible, in a binary heap: lowest rank first, leftmost of equals.
private struct MergeQueue {
  struct Entry {
    let rank: Int32
    let place: Int32
    let id: Int32

    static func < (one: Entry, other: Entry) -> Bool {
      (one.rank, one.place) < (other.rank, other.place)
    }
  }

  private var heap: [Entry] = []

  mutating func insert(_ entry: Entry) {
    heap.append(entry)
    var child = heap.count - 1
    while child > 0, case let parent = (child - 1) / 2, heap[child] < heap[parent] {
      heap.swapAt(child, parent)
      child = parent
    }
  }

  mutating func removeFirst() -> Entry? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    guard !heap.isEmpty else { return first }
    heap[0] = last
    var parent = 0
    while case let child = 2 * parent + 1, child < heap.count {
      let least = child + 1 < heap.count && heap[child + 1] < heap[child] ? child + 1 : child
      guard heap[least] < heap[parent] else { break }
      heap.swapAt(least, parent)
      parent = least
    }
    return first
  }
}
