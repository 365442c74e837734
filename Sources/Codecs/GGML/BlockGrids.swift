/// The grids of the types below 4 bits: which combinations of values 8 (or 4) neighbours may take.
///
/// They are facts of the format, found by llama.cpp's authors by clustering. Here each entry is a
/// number of 2-bit (or 3-bit) digits, the first element lowest, that index `levels`.
struct BlockGrid {
  /// The values of the elements, entry after entry.
  let values: [Float]

  init(_ entries: [UInt16], elements: Int, levels: [Float]) {
    let bits: UInt16 = levels.count > 4 ? 3 : 2
    values = entries.flatMap { entry in
      (0..<elements).map { levels[Int(entry >> (UInt16($0) * bits) & (1 << bits - 1))] }
    }
  }

  /// IQ2_XXS.
  static let iq2xxs = BlockGrid(
    GridEntries.iq2xxs, elements: 8, levels: [8, 25, 43, 62])
  /// IQ2_XS.
  static let iq2xs = BlockGrid(
    GridEntries.iq2xs, elements: 8, levels: [8, 25, 43, 62])
  /// IQ2_S.
  static let iq2s = BlockGrid(
    GridEntries.iq2s, elements: 8, levels: [8, 25, 43, 62])
  /// IQ3_XXS.
  static let iq3xxs = BlockGrid(
    GridEntries.iq3xxs, elements: 4, levels: [4, 12, 20, 28, 36, 44, 52, 62])
  /// IQ3_S.
  static let iq3s = BlockGrid(
    GridEntries.iq3s, elements: 4, levels: [1, 3, 5, 7, 9, 11, 13, 15])
  /// IQ1_S and IQ1_M.
  static let iq1 = BlockGrid(
    GridEntries.iq1, elements: 8, levels: [-1, 0, 1])
}
