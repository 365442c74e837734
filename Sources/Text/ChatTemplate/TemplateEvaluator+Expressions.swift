internal import Platform

extension TemplateEvaluator {
  /// What an expression comes to.
  mutating func value(_ expression: TemplateExpression) throws(Fault) -> TemplateValue {
    try budget.step()
    try budget.enter()
    defer { budget.leave() }
    switch expression {
    case .literal(let value): return value
    case .name(let name, _): return self.name(name)
    case .list(let items): return .list(try values(items))
    case .dictionary(let members): return try dictionary(members)
    case .attribute(let base, let name, let offset):
      return try member(of: try value(base), .string(name), offset)
    case .item(let base, let index, let offset):
      return try member(of: try value(base), try value(index), offset)
    case .slice(let base, let from, let to, let step, let offset):
      return try slice(try value(base), [from, to, step], offset)
    case .call(let function, let arguments, let offset):
      return try call(function, arguments, offset)
    case .filter(let base, let name, let arguments, let offset):
      let (values, named) = try evaluated(arguments)
      let value = try value(base)
      return try TemplateFilters.apply(
        name, to: value, values, named, &budget, offset: UInt64(offset))
    case .test(let base, let name, let arguments, let isNegated, let offset):
      let (values, _) = try evaluated(arguments)
      let value = try value(base)
      let holds = try TemplateFilters.test(name, value, values, &budget, offset: UInt64(offset))
      return .bool(holds != isNegated)
    case .negative(let operand, let offset): return try negative(try value(operand), offset)
    case .arithmetic(let sign, let left, let right, let offset):
      let (one, other) = (try value(left), try value(right))
      return try TemplateArithmetic.apply(sign, one, other, &budget, offset: UInt64(offset))
    case .comparison(let first, let others, let offset):
      return .bool(try compare(try value(first), others, offset))
    case .and(let left, let right):
      let left = try value(left)
      return left.isTrue ? try value(right) : left
    case .or(let left, let right):
      let left = try value(left)
      return left.isTrue ? left : try value(right)
    case .not(let operand): return .bool(!(try value(operand).isTrue))
    case .conditional(let yes, let condition, let no):
      if try value(condition).isTrue { return try value(yes) }
      return try no.map { no throws(Fault) in try value(no) } ?? .undefined("a missing else")
    }
  }

  private mutating func values(_ items: [TemplateExpression]) throws(Fault) -> [TemplateValue] {
    var values: [TemplateValue] = []
    for item in items { values.append(try value(item)) }
    return values
  }

  private mutating func evaluated(
    _ arguments: TemplateArguments
  ) throws(Fault) -> ([TemplateValue], [String: TemplateValue]) {
    var named: [String: TemplateValue] = [:]
    for argument in arguments.named { named[argument.name] = try value(argument.value) }
    return (try values(arguments.values), named)
  }

  private mutating func dictionary(
    _ members: [(key: TemplateExpression, value: TemplateExpression)]
  ) throws(Fault) -> TemplateValue {
    var result: [(key: String, value: TemplateValue)] = []
    for member in members {
      guard case .string(let key) = try value(member.key) else {
        throw Fault(.malformed, "has a dictionary with a key that is no string")
      }
      let value = try value(member.value)
      try budget.spend(items: result.count)
      if let place = result.firstIndex(where: { $0.key.isSame(as: key) }) {
        result[place].value = value
      } else {
        result.append((key, value))
      }
    }
    return .dictionary(result)
  }

  private mutating func member(
    of base: TemplateValue, _ index: TemplateValue, _ offset: Int
  ) throws(Fault) -> TemplateValue {
    if case .undefined = base {
      throw Fault(
        .malformed, "takes a member of what is not defined", offset: UInt64(offset),
        found: base.kind)
    }
    switch index {
    case .string(let name): return try base.member(name, &budget) ?? .undefined(name)
    default:
      guard let place = index.integer, base.isSequence, let items = try base.items(&budget) else {
        return .undefined("an item of \(base.kind)")
      }
      let index = place < 0 ? place + items.count : place
      return items.indices.contains(index) ? items[index] : .undefined("item \(place)")
    }
  }

  /// Python's slices.
  private mutating func slice(
    _ base: TemplateValue, _ bounds: [TemplateExpression?], _ offset: Int
  ) throws(Fault) -> TemplateValue {
    var numbers: [Int?] = []
    for bound in bounds {
      guard let bound else {
        numbers.append(nil)
        continue
      }
      let value = try value(bound)
      if case .none = value {
        numbers.append(nil)
      } else if let number = value.integer {
        numbers.append(number)
      } else {
        throw Fault(
          .malformed, "has a slice whose bound is no integer", offset: UInt64(offset),
          found: value.kind)
      }
    }
    let step = numbers[2] ?? 1
    guard base.isSequence, let items = try base.items(&budget), step != 0, step > -(1 << 31),
      step < 1 << 31
    else {
      throw Fault(
        .malformed, "has a slice of what has none", offset: UInt64(offset), found: base.kind)
    }
    let (least, most) = step > 0 ? (0, items.count) : (-1, items.count - 1)
    func place(_ number: Int?, _ usual: Int) -> Int {
      guard let number else { return usual }
      return min(max(number < 0 ? number + items.count : number, least), most)
    }
    let start = place(numbers[0], step > 0 ? 0 : most)
    let end = place(numbers[1], step > 0 ? most : -1)
    try budget.spend(items: items.count)
    let taken = stride(from: start, to: end, by: step).map { items[$0] }
    guard case .string = base else { return .list(taken) }
    return .string(taken.compactMap(\.text).joined())
  }

  private func negative(_ value: TemplateValue, _ offset: Int) throws(Fault) -> TemplateValue {
    if let integer = value.integer, integer != .min { return .integer(-integer) }
    guard case .number(let number) = value else {
      throw Fault(
        .malformed, "negates what is no number", offset: UInt64(offset), found: value.kind)
    }
    return .number(-number)
  }

  private mutating func compare(
    _ first: TemplateValue, _ others: [(sign: String, other: TemplateExpression)], _ offset: Int
  ) throws(Fault) -> Bool {
    var left = first
    for (sign, other) in others {
      let right = try value(other)
      let holds = try TemplateArithmetic.compare(
        sign, left, right, &budget, offset: UInt64(offset))
      guard holds else { return false }
      left = right
    }
    return true
  }

  private mutating func call(
    _ function: TemplateExpression, _ arguments: TemplateArguments, _ offset: Int
  ) throws(Fault) -> TemplateValue {
    let (values, named) = try evaluated(arguments)
    if case .attribute(let base, let name, _) = function {
      let base = try value(base)
      switch try base.member(name, &budget) {
      case .macro(let macro)?: return try call(macro, values, named, offset)
      default:
        return try TemplateFilters.method(
          name, of: base, values, &budget, offset: UInt64(offset))
      }
    }
    switch try value(function) {
    case .macro(let macro): return try call(macro, values, named, offset)
    case .function(let name):
      return try TemplateFilters.function(
        name, values, named, &budget, offset: UInt64(offset))
    case let other:
      throw Fault(
        .malformed, "calls what is no function that Fathom knows", offset: UInt64(offset),
        found: other.kind)
    }
  }
}

extension TemplateValue {
  /// Whether items have places: lists and texts.
  var isSequence: Bool {
    switch self {
    case .list, .string: true
    default: false
    }
  }
}
