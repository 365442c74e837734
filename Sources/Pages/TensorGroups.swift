internal import Formats
internal import Platform
internal import Reports
internal import Tensors

/// Tensors by layer, those of a layer that are alike but for the numbers in their names in one row,
/// and layers that are alike in one group.
struct TensorGroups {
  /// Tensors of a layer that are alike.
  struct Row: Hashable {
    /// Their name, with a star for each number.
    let name: String
    let type: ElementType
    let shape: Shape
    fileprivate(set) var count = 0
    fileprivate(set) var bytes = 0
  }

  /// Layers that are alike, or what lies in none.
  struct Group {
    let title: String
    let isRange: Bool
    let rows: [Row]
  }

  /// Rows of a page: a network that nobody knows may have a million names.
  private static let mostRows = 4000

  private(set) var layers: [Group] = []
  /// Whether more rows would have been shown.
  private(set) var isCut = false

  init(_ tensors: [StoredTensor]) {
    struct Key: Hashable {
      let layer: Int?
      let name: String
      let type: ElementType
      let shape: Shape
    }
    var places: [Key: Int] = [:]
    var rows: [Int?: [Row]] = [:]
    var shown = 0
    for tensor in tensors {
      let parts = PlanRows.parts(of: tensor.name)
      let (layer, name) = (TensorGroups.layer(parts), PlanRows.pattern(parts).text)
      let key = Key(layer: layer, name: name, type: tensor.type, shape: tensor.shape)
      if places[key] == nil {
        guard shown < TensorGroups.mostRows else {
          isCut = true
          continue
        }
        shown += 1
        places[key] = rows[layer, default: []].count
        rows[layer, default: []].append(Row(name: name, type: tensor.type, shape: tensor.shape))
      }
      guard let place = places[key] else { continue }
      rows[layer]?[place].count += 1
      rows[layer]?[place].bytes += tensor.byteCount
    }
    for layer in rows.keys {
      rows[layer]?.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
    if let others = rows.removeValue(forKey: nil) {
      layers.append(Group(title: "In no layer", isRange: false, rows: others))
    }
    let numbers = rows.keys.compactMap(\.self).sorted()
    let ranges = Ranges(numbers, of: numbers.map { rows[$0] ?? [] }) { $0 }
    layers += ranges.ranges.map {
      Group(
        title: ($0.isSingle ? "Layer " : "Layers ") + $0.text(), isRange: !$0.isSingle,
        rows: $0.first)
    }
  }

  /// The layer of a name, which is its first number.
  static func layer(_ parts: [PlanRows.Part]) -> Int? {
    for case .numbers(let numbers) in parts { return numbers.first }
    return nil
  }
}

/// Neighbours that are alike, as ranges of their numbers.
struct Ranges<Value> {
  /// One range.
  struct Range {
    let first: Value
    fileprivate let numbers: ClosedRange<Int>

    var isSingle: Bool { numbers.count == 1 }
    /// `3` or `3–60`.
    func text(dash: String = "–") -> String {
      isSingle ? "\(numbers.lowerBound)" : "\(numbers.lowerBound)\(dash)\(numbers.upperBound)"
    }
  }

  private(set) var ranges: [Range] = []

  /// Joins neighbours of the same key whose numbers follow each other.
  init<Key: Equatable>(_ numbers: [Int], of values: [Value], by key: (Value) -> Key) {
    var last: Key?
    for (number, value) in zip(numbers, values) {
      let key = key(value)
      if let range = ranges.last, last == key, range.numbers.upperBound + 1 == number {
        ranges[ranges.count - 1] = Range(
          first: range.first, numbers: range.numbers.lowerBound...number)
      } else {
        ranges.append(Range(first: value, numbers: number...number))
      }
      last = key
    }
  }
}
