internal import Platform

/// Operators between two values, as Python has them.
enum TemplateArithmetic {
  /// `+`, `-`, `*`, `/`, `//`, `%` and `~`.
  ///
  /// - Throws: `.malformed` where the values have no such operator, and beyond 64 bits.
  static func apply(
    _ sign: String, _ left: TemplateValue, _ right: TemplateValue, offset: UInt64
  ) throws(Fault) -> TemplateValue {
    switch (sign, left, right) {
    case ("~", _, _):
      if let one = left.text, let other = right.text { return try join(one, other) }
    case ("+", .string(let one), .string(let other)): return try join(one, other)
    case ("+", .list(let one), .list(let other)):
      try TemplateEvaluator.require(length: one.count + other.count)
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

  private static func join(_ one: String, _ other: String) throws(Fault) -> TemplateValue {
    try TemplateEvaluator.require(length: one.utf8.count + other.utf8.count)
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
    _ sign: String, _ left: TemplateValue, _ right: TemplateValue, offset: UInt64
  ) throws(Fault) -> Bool {
    switch sign {
    case "==": return left.equals(right)
    case "!=": return !left.equals(right)
    case "in": if let holds = contains(right, left) { return holds }
    case "not in": if let holds = contains(right, left) { return !holds }
    default:
      if let one = left.number, let other = right.number { return order(sign, one, other) }
      if case .string(let one) = left, case .string(let other) = right {
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

  private static func contains(_ whole: TemplateValue, _ part: TemplateValue) -> Bool? {
    switch (whole, part) {
    case (.string(let text), .string(let part)): text.holds(part)
    case (.list(let items), _): items.contains { $0.equals(part) }
    case (.dictionary, .string(let key)): whole.member(key) != nil
    case (.undefined, _): false
    default: nil
    }
  }
}

extension String {
  /// −1, 0 or 1: the order of code points, which is that of UTF-8's bytes.
  fileprivate func scalarOrder(to other: String) -> Int {
    if isSame(as: other) { return 0 }
    return utf8.lexicographicallyPrecedes(other.utf8) ? -1 : 1
  }

  /// Whether the bytes of another text stand somewhere in this one.
  fileprivate func holds(_ part: String) -> Bool {
    let (text, part) = (Array(utf8), Array(part.utf8))
    guard part.count <= text.count else { return false }
    return (0...(text.count - part.count)).contains { start in
      text[start..<start + part.count].elementsEqual(part)
    }
  }
}
