internal import Dialects
internal import Formats
internal import Platform
internal import Tensors

/// Tensors of a plan that are alike but for the numbers in their names, as one row: DeepSeek-V3 has
/// 91,991 tensors of some forty kinds.
struct PlanRows {
  /// One kind.
  struct Row {
    /// One of the tensors.
    let first: PlannedTensor
    /// The parts of its name; those that are numbers have all that occur.
    fileprivate(set) var parts: [Part]
    /// How many tensors there are.
    fileprivate(set) var count = 0
    /// Their bytes.
    fileprivate(set) var bytes = 0
  }

  /// A part of a name.
  enum Part {
    case word(ExactText)
    case numbers(Set<Int>)
  }

  /// What tensors of one row have in common.
  private struct Key: Hashable {
    let pattern: ExactText
    let from: ElementType
    let to: ElementType
    let shape: Shape
    let treatment: String
    let reason: String
  }

  /// In the order of the first of each.
  private(set) var rows: [Row] = []
  private var places: [Key: Int] = [:]

  /// Adds a tensor to the row of its kind.
  mutating func add(_ tensor: PlannedTensor, treatment: String) {
    let parts = PlanRows.parts(of: tensor.entry.name)
    let key = Key(
      pattern: PlanRows.pattern(parts),
      from: tensor.source.type, to: tensor.entry.type, shape: tensor.entry.shape,
      treatment: treatment, reason: tensor.reason)
    let place = places[key] ?? rows.count
    if place == rows.count {
      places[key] = place
      rows.append(Row(first: tensor, parts: parts))
    }
    rows[place].count += 1
    rows[place].bytes += tensor.entry.byteCount
    for (index, part) in parts.enumerated() {
      guard case .numbers(let new) = part, case .numbers(var known) = rows[place].parts[index]
      else { continue }
      // Out of the row while it grows, so that it is not copied.
      rows[place].parts[index] = .numbers([])
      known.formUnion(new)
      rows[place].parts[index] = .numbers(known)
    }
  }

  /// The parts of a name between its dots.
  static func parts(of name: ExactText) -> [Part] {
    name.split(separator: ".").map { text in
      guard text.isNumber, let number = Int(text.text) else { return .word(text) }
      return .numbers([number])
    }
  }

  /// The name with a star for each number.
  static func pattern(_ parts: [Part]) -> ExactText {
    ExactText(
      parts.map { part in
        if case .word(let word) = part { word.text } else { "*" }
      }.joined(separator: "."))
  }
}

extension PlanRows.Row {
  /// The name with all numbers that occur in a place: `blk.3-60.ffn_up_exps.weight`.
  var name: String {
    parts.map { part in
      switch part {
      case .word(let word): word.text
      case .numbers(let numbers): PlanRows.Row.ranges(numbers)
      }
    }.joined(separator: ".")
  }

  /// Ranges that are named one by one: of more, the first ones and the last.
  private static let mostRanges = 6

  /// `0,2-5`, or `0-2,6,10,…,78`.
  static func ranges(_ numbers: Set<Int>) -> String {
    let sorted = numbers.sorted()
    var words = Ranges(sorted, of: sorted) { _ in true }.ranges.map { $0.text(dash: "-") }
    if words.count > mostRanges { words.replaceSubrange(3..<words.count - 1, with: ["…"]) }
    return words.joined(separator: ",")
  }
}
