/// An expression of a template.
indirect enum TemplateExpression {
  case literal(TemplateValue)
  case name(String, offset: Int)
  case list([TemplateExpression])
  case dictionary([(key: TemplateExpression, value: TemplateExpression)])
  case attribute(TemplateExpression, String, offset: Int)
  case item(TemplateExpression, TemplateExpression, offset: Int)
  case slice(
    TemplateExpression, from: TemplateExpression?, to: TemplateExpression?,
    step: TemplateExpression?, offset: Int)
  case call(TemplateExpression, TemplateArguments, offset: Int)
  case filter(TemplateExpression, String, TemplateArguments, offset: Int)
  case test(TemplateExpression, String, TemplateArguments, isNegated: Bool, offset: Int)
  case negative(TemplateExpression, offset: Int)
  case arithmetic(String, TemplateExpression, TemplateExpression, offset: Int)
  case comparison(
    TemplateExpression, [(sign: String, other: TemplateExpression)], offset: Int)
  case and(TemplateExpression, TemplateExpression)
  case or(TemplateExpression, TemplateExpression)
  case not(TemplateExpression)
  case conditional(TemplateExpression, if: TemplateExpression, else: TemplateExpression?)
}

/// What a call, a filter or a test is given.
struct TemplateArguments {
  var values: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []
}

/// A piece of a template.
indirect enum TemplateNode {
  case text(String)
  case output(TemplateExpression)
  case choice([(condition: TemplateExpression?, body: [TemplateNode])])
  case loop(TemplateLoop)
  case set([TemplateTarget], TemplateExpression, offset: Int)
  case capture(String, [TemplateNode])
  case macro(TemplateMacro)
  case leave
  case proceed
}

/// What a value is given to.
enum TemplateTarget {
  case name(String)
  /// A member of a namespace.
  case member(String, String)
}

/// `{% for … in … if … %} … {% else %} … {% endfor %}`
struct TemplateLoop {
  let names: [String]
  let items: TemplateExpression
  let condition: TemplateExpression?
  let body: [TemplateNode]
  let otherwise: [TemplateNode]
  let offset: Int
}

/// `{% macro name(parameters) %} … {% endmacro %}`
struct TemplateMacro {
  let name: String
  let parameters: [(name: String, value: TemplateExpression?)]
  let body: [TemplateNode]
}
