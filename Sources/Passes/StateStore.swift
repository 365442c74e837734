package import Platform
package import Reference

/// Residual streams of groups of sequences between two layers: in memory where one group is all there
/// is, otherwise in a scratch file, so that a layer meets all tokens before the next one is read.
package struct StateStore {
  private let file: ScratchFile?
  private let columns: Int
  /// Words that hold a bit for each key that a token can see.
  private let mostWords: Int
  /// First byte of each group's states; behind them the keys that an indexer has chosen.
  private var starts: [Int] = []
  private var rows: [Int] = []
  /// Words of a row of chosen keys, of each group that has some.
  private var words: [Int?]
  private var held: Activations?

  /// Bytes of the scratch file.
  package let byteCount: Int

  /// Makes room.
  ///
  /// - Parameters:
  ///   - rows: tokens of each group.
  ///   - columns: values of a token.
  ///   - longest: tokens of the longest sequence, as many keys as a token can see.
  ///   - destination: beside which a scratch file is made.
  /// - Throws: `.cannotCreate` where there is no scratch file to be had or no space for it.
  package init(
    rows: [Int], columns: Int, longest: Int, beside destination: OutputPath
  ) throws(Fault) {
    self.columns = columns
    self.rows = rows
    mostWords = (longest + 63) / 64
    words = rows.map { _ in nil }
    let perRow =
      columns * MemoryLayout<Float>.stride + (mostWords + 1) * MemoryLayout<UInt64>.stride
    var end = 0
    for count in rows {
      starts.append(end)
      end += count * perRow
    }
    guard rows.count > 1 else {
      (file, byteCount) = (nil, 0)
      return
    }
    byteCount = end
    try destination.requireSpace(end)
    file = try ScratchFile(beside: destination)
  }

  /// Keeps a group's states (tokens, columns) until they are taken.
  ///
  /// - Throws: what writing throws.
  package mutating func put(_ states: Activations, _ group: Int) throws(Fault) {
    words[group] = states.chosenKeys?.words
    guard let file else {
      held = states
      return
    }
    precondition(states.rows == rows[group] && states.columns == columns)
    let bytes = UnsafeRawBufferPointer(states.values)
    try file.write(bytes, at: starts[group])
    guard let keys = states.chosenKeys else { return }
    try file.write(UnsafeRawBufferPointer(keys.bytes), at: starts[group] + bytes.count)
  }

  /// Hands a group's states out.
  ///
  /// - Throws: what reading throws.
  package mutating func take(_ group: Int) throws(Fault) -> Activations {
    let states = try look(group)
    held = nil
    return states
  }

  /// A group's states, which stay here.
  private func look(_ group: Int) throws(Fault) -> Activations {
    guard let file else {
      guard let held else { preconditionFailure("states are taken after they were put") }
      return held
    }
    let states = Activations(unwrittenRows: rows[group], columns: columns)
    let bytes = UnsafeMutableRawBufferPointer(states.values)
    try file.read(at: starts[group], into: bytes)
    guard let words = words[group] else { return states }
    let keys = KeySets(rows: rows[group], words: words)
    try file.read(at: starts[group] + bytes.count, into: keys.bytes)
    states.chosenKeys = keys
    return states
  }
}

/// States that outlive the process: all rows in the order of the sequences, however these are divided
/// into groups, and behind them, where an indexer has chosen, each row's keys in as many words as the
/// longest sequence needs.
extension StateStore {
  /// Whether an indexer has chosen keys for any of the groups.
  package var hasKeys: Bool { words.contains { $0 != nil } }

  /// Bytes of all states as `write` leaves them.
  package func keptBytes(withKeys: Bool) -> Int {
    let keys = withKeys ? (mostWords + 1) * MemoryLayout<UInt64>.stride : 0
    return rows.reduce(0, +) * (columns * MemoryLayout<Float>.stride + keys)
  }

  /// Hands out the bytes of all states, group by group, which stay here.
  ///
  /// - Throws: what reading and `append` throw.
  package func write(
    _ append: (UnsafeRawBufferPointer) throws(Fault) -> Void
  ) throws(Fault) {
    for group in rows.indices where rows[group] > 0 {
      let states = try look(group)
      try append(UnsafeRawBufferPointer(states.values))
    }
    guard hasKeys else { return }
    for group in rows.indices where rows[group] > 0 {
      // A group without a choice sees every key, as rows of other groups may.
      let keys = try look(group).chosenKeys.padded(rows: rows[group], words: mostWords)
      try append(UnsafeRawBufferPointer(keys.bytes))
    }
  }

  /// Fills all groups with what `write` has handed out.
  ///
  /// - Parameter read: fills a buffer with the bytes from an offset on.
  /// - Throws: what `read` and writing throw.
  package mutating func fill(
    withKeys: Bool,
    _ read: (_ offset: Int, _ bytes: UnsafeMutableRawBufferPointer) throws(Fault) -> Void
  ) throws(Fault) {
    var (place, keysPlace) = (0, keptBytes(withKeys: false))
    for group in rows.indices {
      let states = Activations(unwrittenRows: rows[group], columns: columns)
      let bytes = UnsafeMutableRawBufferPointer(states.values)
      if rows[group] > 0 { try read(place, bytes) }
      place += bytes.count
      if withKeys {
        let keys = KeySets(rows: rows[group], words: mostWords)
        if rows[group] > 0 { try read(keysPlace, keys.bytes) }
        keysPlace += keys.bytes.count
        states.chosenKeys = keys
      }
      try put(states, group)
    }
  }
}
