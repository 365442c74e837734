internal import Platform

/// A value of a template, as Python would have it.
indirect enum TemplateValue {
  /// A name or a member that is not there; what it was.
  case undefined(String)
  case none
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  /// A list or a tuple.
  case list([TemplateValue])
  /// A dictionary in the order of its making.
  case dictionary([(key: String, value: TemplateValue)])
  /// `namespace(…)`: the one value that a template can change.
  case namespace(TemplateNamespace)
  case macro(TemplateMacro)
  /// One of the functions that a template finds.
  case function(String)
}

/// The members of a `namespace(…)`.
final class TemplateNamespace {
  var members: [String: TemplateValue]

  init(_ members: [String: TemplateValue]) { self.members = members }
}

extension TemplateValue {
  /// Whether the value counts as true.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .number(let value): value != 0
    case .string(let text): !text.isEmpty
    case .list(let items): !items.isEmpty
    case .dictionary(let members): !members.isEmpty
    case .namespace, .macro, .function: true
    }
  }

  /// What the value is called in messages.
  var kind: String {
    switch self {
    case .undefined(let name): "undefined (\(name))"
    case .none: "none"
    case .bool: "a truth value"
    case .integer: "an integer"
    case .number: "a number"
    case .string: "a string"
    case .list: "a list"
    case .dictionary: "a dictionary"
    case .namespace: "a namespace"
    case .macro, .function: "a function"
    }
  }

  /// The value as `{{ … }}` prints it; nil for what Fathom does not print.
  var text: String? {
    switch self {
    case .undefined: ""
    case .none: "None"
    case .bool(let value): value ? "True" : "False"
    case .integer(let value): String(value)
    case .string(let text): text
    case .number, .list, .dictionary, .namespace, .macro, .function: nil
    }
  }

  /// The value as a number; a truth value counts as one, as in Python.
  var number: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  /// The value as a whole number.
  var integer: Int? {
    switch self {
    case .integer(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  /// A member by its name.
  func member(_ name: String, _ budget: inout TemplateBudget) throws(Fault) -> TemplateValue? {
    switch self {
    case .dictionary(let members):
      try budget.spend(items: members.count)
      return members.first { $0.key.isSame(as: name) }?.value
    case .namespace(let namespace): return namespace.members[name]
    default: return nil
    }
  }

  /// Whether two values are equal. The parts of a list may be the same one many times over, so that
  /// the comparison takes its toll.
  func equals(_ other: TemplateValue, _ budget: inout TemplateBudget) throws(Fault) -> Bool {
    try budget.spend(TemplateBudget.itemSize)
    try budget.enter()
    defer { budget.leave() }
    switch (self, other) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.string(let one), .string(let two)):
      try budget.spend(one.utf8.count)
      return one.isSame(as: two)
    case (.list(let one), .list(let two)):
      guard one.count == two.count else { return false }
      for (left, right) in zip(one, two) where try !left.equals(right, &budget) { return false }
      return true
    case (.dictionary(let one), .dictionary(let two)):
      guard one.count == two.count else { return false }
      for entry in one {
        guard let value = try other.member(entry.key, &budget),
          try entry.value.equals(value, &budget)
        else { return false }
      }
      return true
    case (.namespace(let one), .namespace(let two)): return one === two
    default:
      guard let one = number, let two = other.number else { return false }
      return one == two
    }
  }
}

extension String {
  /// Whether two texts have the same characters, written in the same way: Swift's own `==` lets a
  /// composed and a decomposed letter be equal.
  func isSame(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
