internal import Platform

/// Operators between two values, as Python has them.
enum TemplateArithmetic {
  /// `+`, `-`, `*`, `/`, `//`, `%` and `~`.
  ///
  /// - Throws: `.malformed` where the values have no such operator, and beyond 64 bits.
  static func apply(
    _ sign: String, _ left: TemplateValue, _ right: TemplateValue,
    _ budget: inout TemplateBudget, offset: UInt64
  ) throws(Fault) -> TemplateValue {
    switch (sign, left, right) {
    case ("~", _, _):
      if let one = left.text, let other = right.text { return try join(one, other, &budget) }
    case ("+", .string(let one), .string(let other)): return try join(one, other, &budget)
    case ("+", .list(let one), .list(let other)):
      try budget.spend(items: one.count + other.count)
      return .list(one + other)
    default:
      if let one = left.integer, let other = right.integer,
        let value = whole(sign, one, other)
      {
        return value
      }
      if let one = left.number, let other = right.number,
        let value = real(sign, one, other)
      {
        return value
      }
    }
    throw Fault(
      .malformed, "uses '\(sign)' on values that do not have it", offset: offset,
      found: "\(left.kind) and \(right.kind)")
  }

  private static func join(
    _ one: String, _ other: String, _ budget: inout TemplateBudget
  ) throws(Fault) -> TemplateValue {
    try budget.spend(one.utf8.count + other.utf8.count)
    return .string(one + other)
  }

  private static func whole(_ sign: String, _ one: Int, _ other: Int) -> TemplateValue? {
    let result: (partialValue: Int, overflow: Bool)
    switch sign {
    case "+": result = one.addingReportingOverflow(other)
    case "-": result = one.subtractingReportingOverflow(other)
    case "*": result = one.multipliedReportingOverflow(by: other)
    case "//", "%":
      result = one.dividedReportingOverflow(by: other)
      guard !result.overflow else { return nil }
      let rest = one - result.partialValue * other
      // Python rounds down.
      let isOff = rest != 0 && (rest < 0) != (other < 0)
      if sign == "%" { return .integer(isOff ? rest + other : rest) }
      return .integer(isOff ? result.partialValue - 1 : result.partialValue)
    default: return nil
    }
    return result.overflow ? nil : .integer(result.partialValue)
  }

  private static func real(_ sign: String, _ one: Double, _ other: Double) -> TemplateValue? {
    switch sign {
    case "+": .number(one + other)
    case "-": .number(one - other)
    case "*": .number(one * other)
    case "/": other == 0 ? nil : .number(one / other)
    default: nil
    }
  }

  /// `==`, `!=`, `<`, `<=`, `>`, `>=`, `in` and `not in`.
  ///
  /// - Throws: `.malformed` where the values have no order, or the right one no members.
  static func compare(
    _ sign: String, _ left: TemplateValue, _ right: TemplateValue,
    _ budget: inout TemplateBudget, offset: UInt64
  ) throws(Fault) -> Bool {
    switch sign {
    case "==": return try left.equals(right, &budget)
    case "!=": return try !left.equals(right, &budget)
    case "in": if let holds = try contains(right, left, &budget) { return holds }
    case "not in": if let holds = try contains(right, left, &budget) { return !holds }
    default:
      if let one = left.number, let other = right.number { return order(sign, one, other) }
      if case .string(let one) = left, case .string(let other) = right {
        try budget.spend(one.utf8.count)
        return order(sign, one.scalarOrder(to: other), 0)
      }
    }
    throw Fault(
      .malformed, "compares values with '\(sign)' that do not have it", offset: offset,
      found: "\(left.kind) and \(right.kind)")
  }

  private static func order<Value: Comparable>(_ sign: String, _ one: Value, _ other: Value) -> Bool
  {
    switch sign {
    case "<": one < other
    case "<=": one <= other
    case ">": one > other
    default: one >= other
    }
  }

  private static func contains(
    _ whole: TemplateValue, _ part: TemplateValue, _ budget: inout TemplateBudget
  ) throws(Fault) -> Bool? {
    switch (whole, part) {
    case (.string(let text), .string(let part)):
      try budget.spend(2 * text.utf8.count + TemplateBudget.itemSize * part.utf8.count)
      return text.holds(part)
    case (.list(let items), _):
      for item in items where try item.equals(part, &budget) { return true }
      return false
    case (.dictionary, .string(let key)): return try whole.member(key, &budget) != nil
    case (.undefined, _): return false
    default: return nil
    }
  }
}

extension String {
  /// −1, 0 or 1: the order of code points, which is that of UTF-8's bytes.
  fileprivate func scalarOrder(to other: String) -> Int {
    if isSame(as: other) { return 0 }
    return utf8.lexicographicallyPrecedes(other.utf8) ? -1 : 1
  }
}
