internal import Platform

/// The filters, tests, methods and functions that templates of DeepSeek's family use; what is not
/// here is refused where it is met.
enum TemplateFilters {
  /// `value | name(arguments)`
  static func apply(
    _ name: String, to value: TemplateValue, _ values: [TemplateValue],
    _ named: [String: TemplateValue], _ budget: inout TemplateBudget, offset: UInt64
  ) throws(Fault) -> TemplateValue {
    try budget.spend(value.size)
    switch (name, value) {
    case ("length", _), ("count", _):
      if case .dictionary(let members) = value { return .integer(members.count) }
      if let items = try value.items(&budget) { return .integer(items.count) }
    case ("trim", _) where values.isEmpty:
      if let text = value.text { return .string(text.stripped()) }
    case ("string", _), ("safe", _): if let text = value.text { return .string(text) }
    case ("int", .string(let text)): return .integer(Int(text.stripped()) ?? 0)
    case ("int", _): if let integer = value.integer { return .integer(integer) }
    case ("default", _), ("d", _):
      let isMissing =
        if case .undefined = value { true } else {
          !value.isTrue && (values.dropFirst().first ?? named["boolean"])?.isTrue == true
        }
      return isMissing ? values.first ?? named["default_value"] ?? .string("") : value
    case ("upper", .string), ("lower", .string):
      return try method(name, of: value, values, &budget, offset: offset)
    case ("replace", .string(let text)):
      if case .string(let old)? = values.first, case .string(let new)? = values.dropFirst().first,
        values.count == 2, !old.isEmpty
      {
        let parts = try pieces(of: text, around: old, limit: .max, &budget)
        return .string(try joined(parts, by: new, &budget))
      }
    case ("join", _):
      let parts = try value.items(&budget)?.map(\.text) ?? [nil]
      if !parts.contains(nil), values.count <= 1 {
        let texts = parts.compactMap { $0 }
        return .string(try joined(texts, by: values.first?.text ?? "", &budget))
      }
    case ("first", _):
      if let items = try value.items(&budget) { return items.first ?? .undefined("first") }
    case ("last", _):
      if let items = try value.items(&budget) { return items.last ?? .undefined("last") }
    case ("list", _): if let items = try value.items(&budget) { return .list(items) }
    case ("items", .dictionary):
      return try method(name, of: value, values, &budget, offset: offset)
    default: break
    }
    throw unsupported("filter", "\(name) of \(value.kind)", offset)
  }

  /// `value is name arguments`
  static func test(
    _ name: String, _ value: TemplateValue, _ values: [TemplateValue],
    _ budget: inout TemplateBudget, offset: UInt64
  ) throws(Fault) -> Bool {
    switch (name, value) {
    case ("defined", .undefined): return false
    case ("defined", _): return true
    case ("undefined", .undefined): return true
    case ("undefined", _): return false
    case ("none", .none), ("string", .string), ("mapping", .dictionary), ("boolean", .bool),
      ("integer", .integer), ("float", .number):
      return true
    case ("none", _), ("string", _), ("mapping", _), ("boolean", _), ("integer", _), ("float", _):
      return false
    case ("true", .bool(let truth)): return truth
    case ("false", .bool(let truth)): return !truth
    case ("true", _), ("false", _): return false
    case ("number", _): return value.number != nil
    case ("sequence", _), ("iterable", _): return try value.items(&budget) != nil
    case ("equalto", _), ("eq", _):
      if let other = values.first { return try value.equals(other, &budget) }
    default: break
    }
    throw unsupported("test", name, offset)
  }

  /// `value.name(arguments)`
  static func method(
    _ name: String, of value: TemplateValue, _ values: [TemplateValue],
    _ budget: inout TemplateBudget, offset: UInt64
  ) throws(Fault) -> TemplateValue {
    try budget.spend(value.size)
    switch (name, value) {
    case ("get", .dictionary):
      if case .string(let key)? = values.first {
        return try value.member(key, &budget) ?? (values.count > 1 ? values[1] : .none)
      }
    case ("keys", .dictionary(let members)): return .list(members.map { .string($0.key) })
    case ("values", .dictionary(let members)): return .list(members.map(\.value))
    case ("items", .dictionary(let members)):
      return .list(members.map { .list([.string($0.key), $0.value]) })
    case ("strip", .string(let text)) where values.isEmpty: return .string(text.stripped())
    case ("lstrip", .string(let text)) where values.isEmpty:
      return .string(text.stripped(right: false))
    case ("rstrip", .string(let text)) where values.isEmpty:
      return .string(text.stripped(left: false))
    case ("split", .string(let text)):
      if case .string(let mark)? = values.first, !mark.isEmpty, values.count <= 2 {
        let limit = values.dropFirst().first?.integer ?? -1
        let parts = try pieces(of: text, around: mark, limit: limit < 0 ? .max : limit, &budget)
        return .list(parts.map { .string($0) })
      }
    case ("startswith", .string(let text)):
      if case .string(let start)? = values.first {
        return .bool(text.utf8.starts(with: start.utf8))
      }
    case ("endswith", .string(let text)):
      if case .string(let end)? = values.first {
        return .bool(text.utf8.suffix(end.utf8.count).elementsEqual(end.utf8))
      }
    case ("replace", .string):
      return try apply(name, to: value, values, [:], &budget, offset: offset)
    case ("upper", .string(let text)): return .string(text.uppercased())
    case ("lower", .string(let text)): return .string(text.lowercased())
    default: break
    }
    throw unsupported("method", "\(name) of \(value.kind)", offset)
  }

  /// Names of the functions that a template finds.
  static let functions = ["namespace", "range", "raise_exception", "strftime_now"]

  /// `name(arguments)`
  static func function(
    _ name: String, _ values: [TemplateValue], _ named: [String: TemplateValue],
    _ budget: inout TemplateBudget, offset: UInt64
  ) throws(Fault) -> TemplateValue {
    switch name {
    case "namespace" where values.isEmpty: return .namespace(TemplateNamespace(named))
    case "range":
      if let numbers = range(values) {
        try budget.spend(items: numbers.count)
        return .list(numbers)
      }
    case "raise_exception":
      throw Fault(
        .malformed, "does not take the text", offset: offset, found: values.first?.text)
    case "strftime_now":
      throw Fault(
        .malformed, "asks for the date, so that its text differs from day to day", offset: offset)
    default: break
    }
    throw unsupported("function", name, offset)
  }

  /// Python's `range`, of at most a hundred thousand numbers.
  private static func range(_ values: [TemplateValue]) -> [TemplateValue]? {
    let bounds = values.compactMap(\.integer)
    guard bounds.count == values.count, (1...3).contains(bounds.count),
      bounds.allSatisfy({ $0.magnitude < 1 << 31 })
    else { return nil }
    let step = bounds.count == 3 ? bounds[2] : 1
    guard step != 0 else { return nil }
    let (start, end) = bounds.count == 1 ? (0, bounds[0]) : (bounds[0], bounds[1])
    guard (end - start) / step <= 100_000 else { return nil }
    return stride(from: start, to: end, by: step).map { .integer($0) }
  }

  private static func pieces(
    of text: String, around mark: String, limit: Int, _ budget: inout TemplateBudget
  ) throws(Fault) -> [String] {
    try budget.spend(2 * text.utf8.count + TemplateBudget.itemSize * mark.utf8.count)
    let pieces = text.pieces(around: mark, limit: limit)
    try budget.spend(items: pieces.count)
    return pieces
  }

  private static func joined(
    _ parts: [String], by mark: String, _ budget: inout TemplateBudget
  ) throws(Fault) -> String {
    try budget.spend(
      parts.reduce(0) { $0 + $1.utf8.count } + mark.utf8.count * max(0, parts.count - 1))
    return parts.joined(separator: mark)
  }

  private static func unsupported(_ what: String, _ name: String, _ offset: UInt64) -> Fault {
    Fault(
      .malformed, "uses a \(what) of Jinja that is not supported here", offset: offset,
      found: name)
  }
}

extension TemplateValue {
  /// What making another value like it costs at the least.
  fileprivate var size: Int {
    switch self {
    // Letters may take three times as much in the other case.
    case .string(let text): 4 * text.utf8.count
    case .list(let items): TemplateBudget.itemSize * items.count
    case .dictionary(let members): 2 * TemplateBudget.itemSize * members.count
    default: TemplateBudget.itemSize
    }
  }
}
