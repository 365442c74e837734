internal import Platform

/// Lines that files say of the tensors in them, an entry of `__metadata__`: each file has the lines
/// of its own tensors, in their order, none twice.
package struct TensorNotes: Sendable {
  /// The entry's key.
  package let key: String
  private let lines: [String]
  private let places: [[Int]]

  /// Collects lines.
  ///
  /// - Parameters:
  ///   - lines: the lines, with their ends.
  ///   - places: for each entry of a layout, indices into `lines`.
  package init(key: String, lines: [String], places: [[Int]]) {
    self.key = key
    self.lines = lines
    self.places = places
  }

  /// What a file with those entries says.
  package func text(of entries: some Sequence<Int>) -> String {
    var isSaid = [Bool](repeating: false, count: lines.count)
    for entry in entries { for line in places[entry] { isSaid[line] = true } }
    return lines.indices.lazy.filter { isSaid[$0] }.map { lines[$0] }.joined()
  }

  /// What all files together say.
  package var text: String { text(of: places.indices) }

  /// Most bytes that an entry adds to the header of its file.
  func headerBound(of entry: Int) -> Int {
    places[entry].reduce(0) { sum, line in
      var quoted = ""
      JSONValue.quote(lines[line], to: &quoted)
      return sum + quoted.utf8.count
    }
  }
}
