internal import Platform

/// Runs a template.
struct TemplateEvaluator {
  /// Macros that may be within each other.
  private static let callLimit = 50

  /// What ends a body early.
  private enum Exit {
    case leave, proceed
  }

  /// Names by scope, the innermost last; a loop and a macro have one of their own.
  var scopes: [[String: TemplateValue]]
  private var output = ""
  private var calls = 0
  var budget: TemplateBudget

  /// Runs a template.
  ///
  /// - Parameters:
  ///   - names: what the template finds.
  ///   - size: bytes of the texts among it.
  /// - Throws: `.malformed` with the offset of what fails.
  static func run(
    _ nodes: [TemplateNode], names: [String: TemplateValue], size: Int
  ) throws(Fault) -> String {
    var evaluator = TemplateEvaluator(scopes: [names], budget: TemplateBudget(size: size))
    _ = try evaluator.run(nodes)
    return evaluator.output
  }

  private init(scopes: [[String: TemplateValue]], budget: TemplateBudget) {
    self.scopes = scopes
    self.budget = budget
  }

  private mutating func run(_ nodes: [TemplateNode]) throws(Fault) -> Exit? {
    try budget.enter()
    defer { budget.leave() }
    for node in nodes {
      try budget.step()
      switch node {
      case .text(let text): try print(text)
      case .output(let expression):
        let value = try value(expression)
        guard let text = value.text else {
          throw Fault(
            .malformed, "prints a value that is no text", found: value.kind)
        }
        try print(text)
      case .choice(let branches):
        for branch in branches {
          if let condition = branch.condition, !(try value(condition).isTrue) { continue }
          if let exit = try run(branch.body) { return exit }
          break
        }
      case .loop(let loop): try run(loop)
      case .set(let targets, let expression, let offset):
        try set(targets, try value(expression), offset)
      case .capture(let name, let body):
        let text = try captured { evaluator throws(Fault) in _ = try evaluator.run(body) }
        scopes[scopes.count - 1][name] = .string(text)
      case .macro(let macro): scopes[scopes.count - 1][macro.name] = .macro(macro)
      case .leave: return .leave
      case .proceed: return .proceed
      }
    }
    return nil
  }

  private mutating func print(_ text: String) throws(Fault) {
    try budget.spend(text.utf8.count)
    output += text
  }

  /// What a body prints, in place of printing it.
  private mutating func captured(
    _ body: (inout TemplateEvaluator) throws(Fault) -> Void
  ) throws(Fault) -> String {
    let before = output
    output = ""
    try body(&self)
    defer { output = before }
    return output
  }

  private mutating func set(
    _ targets: [TemplateTarget], _ value: TemplateValue, _ offset: Int
  ) throws(Fault) {
    var values = [value]
    if targets.count > 1 {
      guard case .list(let items) = value, items.count == targets.count else {
        throw Fault(
          .malformed, "gives several names what is no list of as many", offset: UInt64(offset),
          found: value.kind)
      }
      values = items
    }
    for (target, value) in zip(targets, values) {
      switch target {
      case .name(let name): scopes[scopes.count - 1][name] = value
      case .member(let name, let member):
        guard case .namespace(let namespace) = self.name(name) else {
          throw Fault(
            .malformed, "sets a member of what is no namespace", offset: UInt64(offset),
            found: name)
        }
        namespace.members[member] = value
      }
    }
  }

  func name(_ name: String) -> TemplateValue {
    for scope in scopes.reversed() {
      if let value = scope[name] { return value }
    }
    return .undefined(name)
  }

  private mutating func run(_ loop: TemplateLoop) throws(Fault) {
    let collection = try value(loop.items)
    guard let all = try collection.items(&budget) else {
      throw Fault(
        .malformed, "loops over what is no list", offset: UInt64(loop.offset),
        found: collection.kind)
    }
    scopes.append([:])
    defer { scopes.removeLast() }
    var items = all
    if let condition = loop.condition {
      items = []
      for item in all {
        try bind(loop, item)
        if try value(condition).isTrue { items.append(item) }
      }
    }
    for (index, item) in items.enumerated() {
      // What one round sets is gone in the next.
      scopes[scopes.count - 1] = [:]
      try bind(loop, item)
      scopes[scopes.count - 1]["loop"] = .dictionary([
        ("index", .integer(index + 1)), ("index0", .integer(index)),
        ("revindex", .integer(items.count - index)),
        ("revindex0", .integer(items.count - index - 1)), ("first", .bool(index == 0)),
        ("last", .bool(index == items.count - 1)), ("length", .integer(items.count)),
        ("previtem", index > 0 ? items[index - 1] : .undefined("previtem")),
        ("nextitem", index + 1 < items.count ? items[index + 1] : .undefined("nextitem")),
      ])
      if try run(loop.body) == .leave { break }
    }
    if items.isEmpty { _ = try run(loop.otherwise) }
  }

  private mutating func bind(_ loop: TemplateLoop, _ item: TemplateValue) throws(Fault) {
    try budget.step()
    if loop.names.count == 1 {
      scopes[scopes.count - 1][loop.names[0]] = item
      return
    }
    guard case .list(let parts) = item, parts.count == loop.names.count else {
      throw Fault(
        .malformed, "loops with several names over what is no list of as many",
        offset: UInt64(loop.offset), found: item.kind)
    }
    for (name, part) in zip(loop.names, parts) { scopes[scopes.count - 1][name] = part }
  }

  /// What a macro prints; it sees the names of the template and its own.
  mutating func call(
    _ macro: TemplateMacro, _ values: [TemplateValue], _ named: [String: TemplateValue],
    _ offset: Int
  ) throws(Fault) -> TemplateValue {
    var scope: [String: TemplateValue] = [:]
    guard calls < TemplateEvaluator.callLimit, values.count <= macro.parameters.count,
      named.keys.allSatisfy({ name in macro.parameters.contains { $0.name == name } })
    else {
      throw Fault(
        .malformed, "calls a macro with what it does not take, or without end",
        offset: UInt64(offset), found: macro.name)
    }
    for (index, parameter) in macro.parameters.enumerated() {
      if index < values.count {
        scope[parameter.name] = values[index]
      } else if let value = named[parameter.name] {
        scope[parameter.name] = value
      } else if let usual = parameter.value {
        scope[parameter.name] = try value(usual)
      } else {
        scope[parameter.name] = .undefined(parameter.name)
      }
    }
    let outer = scopes
    scopes = [outer[0], scope]
    calls += 1
    let text = try captured { evaluator throws(Fault) in _ = try evaluator.run(macro.body) }
    calls -= 1
    scopes = outer
    return .string(text)
  }
}

extension TemplateValue {
  /// What a loop goes over: a list's items, a dictionary's keys, a text's characters.
  func items(_ budget: inout TemplateBudget) throws(Fault) -> [TemplateValue]? {
    switch self {
    case .list(let items): return items
    case .dictionary(let members):
      try budget.spend(items: members.count)
      return members.map { .string($0.key) }
    case .string(let text):
      try budget.spend(items: text.unicodeScalars.count)
      return text.unicodeScalars.map { .string(String($0)) }
    case .undefined: return []
    default: return nil
    }
  }
}
