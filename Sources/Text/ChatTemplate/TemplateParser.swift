internal import Platform

/// Reads the segments of a template: its statements. Expressions are read in an extension.
struct TemplateParser {
  /// Nesting of statements and of expressions that a template may have.
  static let depthLimit = 100
  /// Operators, members, calls and filters that one tag may have: each lies in the one before it.
  private static let linkLimit = 1000

  private var segments: ArraySlice<TemplateSegment>
  /// The words of the tag at hand.
  var tokens: ArraySlice<TemplateToken> = []
  /// Where the tag at hand begins.
  var tagOffset = 0
  var depth = 0
  private var links = 0

  /// Reads a template.
  ///
  /// - Throws: `.malformed` for what is no template, or uses what Fathom does not know.
  static func nodes(_ template: String) throws(Fault) -> [TemplateNode] {
    var parser = TemplateParser(segments: try TemplateLexer.segments(template)[...])
    let (nodes, end) = try parser.body(until: [])
    precondition(end == "")
    return nodes
  }

  private init(segments: ArraySlice<TemplateSegment>) { self.segments = segments }

  /// Reads up to a statement with one of these names, and returns which it was; its other words
  /// are left. Without names: up to the end.
  private mutating func body(
    until ends: [String]
  ) throws(Fault) -> (nodes: [TemplateNode], end: String) {
    try enter(tagOffset)
    defer { depth -= 1 }
    let start = tagOffset
    var nodes: [TemplateNode] = []
    while let segment = segments.popFirst() {
      switch segment {
      case .text(let text): nodes.append(.text(text))
      case .output(let tokens, let offset):
        (self.tokens, tagOffset, links) = (tokens[...], offset, 0)
        nodes.append(.output(try list()))
        try expectEnd()
      case .statement(let tokens, let offset):
        (self.tokens, tagOffset, links) = (tokens[...], offset, 0)
        let name = try name()
        if ends.contains(name) { return (nodes, name) }
        nodes += try statement(name)
      }
    }
    guard ends.isEmpty else {
      throw Fault(
        .malformed, "has a statement without its end", offset: UInt64(start),
        expected: ends.joined(separator: " or "))
    }
    return (nodes, "")
  }

  mutating func enter(_ offset: Int) throws(Fault) {
    depth += 1
    guard depth <= TemplateParser.depthLimit else {
      throw Fault(
        .malformed, "is nested too deeply", offset: UInt64(offset),
        expected: "at most \(TemplateParser.depthLimit) levels")
    }
  }

  /// Counts what makes an expression one level higher.
  mutating func link(_ offset: Int) throws(Fault) {
    links += 1
    guard links <= TemplateParser.linkLimit else {
      throw Fault(
        .malformed, "has a tag that is too long", offset: UInt64(offset),
        expected: "at most \(TemplateParser.linkLimit) operators")
    }
  }

  private mutating func statement(_ name: String) throws(Fault) -> [TemplateNode] {
    switch name {
    case "if": return [try choice()]
    case "for": return [try loop()]
    case "set": return [try assignment()]
    case "macro": return [try macro()]
    case "break", "continue":
      try expectEnd()
      return [name == "break" ? .leave : .proceed]
    case "generation":
      // Marks what an assistant says, for training; it changes no text.
      try expectEnd()
      let (nodes, _) = try body(until: ["endgeneration"])
      try expectEnd()
      return nodes
    default:
      throw Fault(
        .malformed, "uses a statement of Jinja that is not supported", offset: UInt64(tagOffset),
        expected: "if, for, set, macro, break, continue or generation", found: name)
    }
  }

  private mutating func choice() throws(Fault) -> TemplateNode {
    var branches: [(condition: TemplateExpression?, body: [TemplateNode])] = []
    var condition: TemplateExpression? = try expression(conditional: false)
    while true {
      try expectEnd()
      let ends = condition == nil ? ["endif"] : ["elif", "else", "endif"]
      let (nodes, end) = try body(until: ends)
      branches.append((condition, nodes))
      if end == "endif" { break }
      condition = end == "elif" ? try expression(conditional: false) : nil
    }
    try expectEnd()
    return .choice(branches)
  }

  private mutating func loop() throws(Fault) -> TemplateNode {
    let offset = tagOffset
    var names = [try name()]
    while take(",") { names.append(try name()) }
    guard takeName("in") else { throw unexpected("in") }
    let items = try expression(conditional: false)
    let condition = takeName("if") ? try expression() : nil
    try expectEnd()
    var (nodes, end) = try body(until: ["else", "endfor"])
    var otherwise: [TemplateNode] = []
    if end == "else" {
      try expectEnd()
      (otherwise, end) = try body(until: ["endfor"])
    }
    try expectEnd()
    return .loop(
      TemplateLoop(
        names: names, items: items, condition: condition, body: nodes, otherwise: otherwise,
        offset: offset))
  }

  private mutating func assignment() throws(Fault) -> TemplateNode {
    let offset = tagOffset
    var targets: [TemplateTarget] = []
    repeat {
      let name = try name()
      targets.append(take(".") ? .member(name, try self.name()) : .name(name))
    } while take(",")
    if take("=") {
      let value = try list()
      try expectEnd()
      return .set(targets, value, offset: offset)
    }
    try expectEnd()
    guard targets.count == 1, case .name(let name) = targets[0] else { throw unexpected("=") }
    let (nodes, _) = try body(until: ["endset"])
    try expectEnd()
    return .capture(name, nodes)
  }

  private mutating func macro() throws(Fault) -> TemplateNode {
    let name = try name()
    guard take("(") else { throw unexpected("(") }
    var parameters: [(name: String, value: TemplateExpression?)] = []
    while !take(")") {
      if !parameters.isEmpty, !take(",") { throw unexpected(",") }
      let parameter = try self.name()
      parameters.append((parameter, take("=") ? try expression() : nil))
    }
    try expectEnd()
    let (nodes, _) = try body(until: ["endmacro"])
    try expectEnd()
    return .macro(TemplateMacro(name: name, parameters: parameters, body: nodes))
  }
}

extension TemplateParser {
  /// Takes a symbol if it comes next.
  mutating func take(_ symbol: String) -> Bool {
    guard tokens.first?.kind == .symbol(symbol) else { return false }
    tokens.removeFirst()
    return true
  }

  /// Takes a name if it comes next.
  mutating func takeName(_ name: String) -> Bool {
    guard tokens.first?.kind == .name(name) else { return false }
    tokens.removeFirst()
    return true
  }

  mutating func name() throws(Fault) -> String {
    guard case .name(let name)? = tokens.first?.kind else { throw unexpected("a name") }
    tokens.removeFirst()
    return name
  }

  mutating func expectEnd() throws(Fault) {
    if !tokens.isEmpty { throw unexpected("the end of the tag") }
  }

  /// What comes next, as a fault.
  func unexpected(_ expected: String) -> Fault {
    let found =
      switch tokens.first?.kind {
      case .name(let name)?: name
      case .symbol(let symbol)?: symbol
      case .string(let text)?: "\"\(text)\""
      case .integer(let value)?: "\(value)"
      case .number(let value)?: "\(value)"
      case nil: "the end of the tag"
      }
    return Fault(
      .malformed, "has a tag that cannot be read",
      offset: UInt64(tokens.first?.offset ?? tagOffset),
      expected: expected, found: found)
  }
}
