package import Platform
package import Reference

/// Residual streams of groups of sequences between two layers: in memory where one group is all there
/// is, otherwise in a scratch file, so that a layer meets all tokens before the next one is read.
package struct StateStore {
  private let file: ScratchFile?
  private let columns: Int
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
    words = rows.map { _ in nil }
    let perRow =
      columns * MemoryLayout<Float>.stride
      + ((longest + 63) / 64 + 1) * MemoryLayout<UInt64>.stride
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
    guard let file else {
      held = states
      return
    }
    precondition(states.rows == rows[group] && states.columns == columns)
    let bytes = UnsafeRawBufferPointer(states.values)
    try file.write(bytes, at: starts[group])
    words[group] = states.chosenKeys?.words
    guard let keys = states.chosenKeys else { return }
    try file.write(UnsafeRawBufferPointer(keys.bytes), at: starts[group] + bytes.count)
  }

  /// Hands a group's states out.
  ///
  /// - Throws: what reading throws.
  package mutating func take(_ group: Int) throws(Fault) -> Activations {
    guard let file else {
      guard let held else { preconditionFailure("states are taken after they were put") }
      self.held = nil
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
