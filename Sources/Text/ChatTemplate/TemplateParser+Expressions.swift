internal import Platform

/// Expressions, from those that bind least to those that bind most.
extension TemplateParser {
  /// An expression, or several with commas between them, which are a list.
  mutating func list() throws(Fault) -> TemplateExpression {
    let first = try expression()
    guard tokens.first?.kind == .symbol(",") else { return first }
    var items = [first]
    while take(","), !tokens.isEmpty { items.append(try expression()) }
    return .list(items)
  }

  /// `a if b else c`
  mutating func expression(conditional: Bool = true) throws(Fault) -> TemplateExpression {
    try enter(tokens.first?.offset ?? tagOffset)
    defer { depth -= 1 }
    var value = try alternative()
    while conditional, takeName("if") {
      try link(tagOffset)
      let condition = try alternative()
      value = .conditional(
        value, if: condition, else: takeName("else") ? try expression() : nil)
    }
    return value
  }

  private mutating func alternative() throws(Fault) -> TemplateExpression {
    var value = try conjunction()
    while takeName("or") {
      try link(tagOffset)
      value = .or(value, try conjunction())
    }
    return value
  }

  private mutating func conjunction() throws(Fault) -> TemplateExpression {
    var value = try negation()
    while takeName("and") {
      try link(tagOffset)
      value = .and(value, try negation())
    }
    return value
  }

  private mutating func negation() throws(Fault) -> TemplateExpression {
    guard takeName("not") else { return try comparison() }
    try enter(tagOffset)
    defer { depth -= 1 }
    return .not(try negation())
  }

  private mutating func comparison() throws(Fault) -> TemplateExpression {
    let offset = tokens.first?.offset ?? tagOffset
    let value = try sum()
    var others: [(sign: String, other: TemplateExpression)] = []
    while true {
      if case .symbol(let sign)? = tokens.first?.kind,
        ["==", "!=", "<", "<=", ">", ">="].contains(sign)
      {
        tokens.removeFirst()
        others.append((sign, try sum()))
      } else if takeName("in") {
        others.append(("in", try sum()))
      } else if tokens.first?.kind == .name("not"), tokens.dropFirst().first?.kind == .name("in") {
        tokens.removeFirst(2)
        others.append(("not in", try sum()))
      } else {
        return others.isEmpty ? value : .comparison(value, others, offset: offset)
      }
    }
  }

  private mutating func sum() throws(Fault) -> TemplateExpression {
    var value = try concatenation()
    while let sign = takeSign(["+", "-"]) {
      try link(sign.offset)
      value = .arithmetic(sign.text, value, try concatenation(), offset: sign.offset)
    }
    return value
  }

  private mutating func concatenation() throws(Fault) -> TemplateExpression {
    var value = try product()
    while let sign = takeSign(["~"]) {
      try link(sign.offset)
      value = .arithmetic("~", value, try product(), offset: sign.offset)
    }
    return value
  }

  private mutating func product() throws(Fault) -> TemplateExpression {
    var value = try unary(filtered: true)
    while let sign = takeSign(["*", "/", "//", "%"]) {
      try link(sign.offset)
      value = .arithmetic(sign.text, value, try unary(filtered: true), offset: sign.offset)
    }
    return value
  }

  private mutating func takeSign(_ signs: [String]) -> (text: String, offset: Int)? {
    guard let token = tokens.first, case .symbol(let sign) = token.kind, signs.contains(sign) else {
      return nil
    }
    tokens.removeFirst()
    return (sign, token.offset)
  }

  /// - Parameter filtered: whether filters and tests belong to it: those behind `-a` belong to all.
  private mutating func unary(filtered: Bool) throws(Fault) -> TemplateExpression {
    let value: TemplateExpression
    if let sign = takeSign(["-", "+"]) {
      try enter(sign.offset)
      defer { depth -= 1 }
      let operand = try unary(filtered: false)
      value = sign.text == "-" ? .negative(operand, offset: sign.offset) : operand
    } else {
      value = try primary()
    }
    return try postfix(value, filtered: filtered)
  }

  /// Members, items and calls; then filters and tests, each of which may be called as well.
  private mutating func postfix(
    _ value: TemplateExpression, filtered: Bool
  ) throws(Fault) -> TemplateExpression {
    var value = value
    while let token = tokens.first {
      switch token.kind {
      case .symbol("."):
        tokens.removeFirst()
        value = .attribute(value, try name(), offset: token.offset)
      case .symbol("["):
        tokens.removeFirst()
        value = try item(of: value, token.offset)
      case .symbol("("): value = .call(value, try arguments(), offset: token.offset)
      case .symbol("|") where filtered:
        tokens.removeFirst()
        let filter = try name()
        let given =
          tokens.first?.kind == .symbol("(") ? try arguments() : TemplateArguments()
        value = .filter(value, filter, given, offset: token.offset)
      case .name("is") where filtered:
        tokens.removeFirst()
        value = try test(of: value, token.offset)
      default: return value
      }
      try link(token.offset)
    }
    return value
  }

  private mutating func test(
    of value: TemplateExpression, _ offset: Int
  ) throws(Fault) -> TemplateExpression {
    let isNegated = takeName("not")
    let test = try name()
    var given = TemplateArguments()
    switch tokens.first?.kind {
    case .symbol("(")?: given = try arguments()
    case .name("else")?, .name("or")?, .name("and")?, .name("is")?: break
    case .name?, .string?, .integer?, .number?, .symbol("[")?, .symbol("{")?:
      given.values = [try primary()]
    default: break
    }
    return .test(value, test, given, isNegated: isNegated, offset: offset)
  }

  private mutating func item(
    of value: TemplateExpression, _ offset: Int
  ) throws(Fault) -> TemplateExpression {
    var bounds: [TemplateExpression?] = [nil]
    while !take("]") {
      if take(":") {
        guard bounds.count < 3 else { throw unexpected("]") }
        bounds.append(nil)
      } else {
        guard bounds[bounds.count - 1] == nil else { throw unexpected("]") }
        bounds[bounds.count - 1] = try expression()
      }
    }
    if bounds.count == 1 {
      guard let index = bounds[0] else { throw unexpected("an index") }
      return .item(value, index, offset: offset)
    }
    return .slice(
      value, from: bounds[0], to: bounds[1], step: bounds.count > 2 ? bounds[2] : nil,
      offset: offset)
  }

  private mutating func arguments() throws(Fault) -> TemplateArguments {
    guard take("(") else { throw unexpected("(") }
    var arguments = TemplateArguments()
    var isFirst = true
    while !take(")") {
      if !isFirst {
        guard take(",") else { throw unexpected(",") }
        if take(")") { break }
      }
      isFirst = false
      if case .name(let name)? = tokens.first?.kind,
        tokens.dropFirst().first?.kind == .symbol("=")
      {
        tokens.removeFirst(2)
        arguments.named.append((name, try expression()))
      } else {
        arguments.values.append(try expression())
      }
    }
    return arguments
  }

  private mutating func primary() throws(Fault) -> TemplateExpression {
    guard let token = tokens.popFirst() else { throw unexpected("a value") }
    switch token.kind {
    case .name(let name):
      switch name {
      case "true", "True": return .literal(.bool(true))
      case "false", "False": return .literal(.bool(false))
      case "none", "None": return .literal(.none)
      default: return .name(name, offset: token.offset)
      }
    case .string(var text):
      // Strings side by side are one.
      while case .string(let more)? = tokens.first?.kind {
        text += more
        tokens.removeFirst()
      }
      return .literal(.string(text))
    case .integer(let value): return .literal(.integer(value))
    case .number(let value): return .literal(.number(value))
    case .symbol("("): return try parenthesis()
    case .symbol("["): return .list(try items(until: "]"))
    case .symbol("{"):
      var members: [(key: TemplateExpression, value: TemplateExpression)] = []
      while !take("}") {
        if !members.isEmpty {
          guard take(",") else { throw unexpected(",") }
          if take("}") { break }
        }
        let key = try expression()
        guard take(":") else { throw unexpected(":") }
        members.append((key, try expression()))
      }
      return .dictionary(members)
    default:
      tokens = [token] + tokens
      throw unexpected("a value")
    }
  }

  /// An expression in parentheses, or a tuple, which is a list here.
  private mutating func parenthesis() throws(Fault) -> TemplateExpression {
    if take(")") { return .list([]) }
    let first = try expression()
    if take(")") { return first }
    guard take(",") else { throw unexpected(")") }
    return .list([first] + (try items(until: ")")))
  }

  private mutating func items(until end: String) throws(Fault) -> [TemplateExpression] {
    var items: [TemplateExpression] = []
    while !take(end) {
      if !items.isEmpty {
        guard take(",") else { throw unexpected(",") }
        if take(end) { break }
      }
      items.append(try expression())
    }
    return items
  }
}
