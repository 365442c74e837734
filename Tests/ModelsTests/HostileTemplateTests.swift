import Models
import Platform
import Testing
import Text

/// Templates that are written to take time, memory or the stack away: each is refused, or runs, soon.
@Suite struct HostileTemplateTests {
  private static let doubling =
    "{% set n = namespace(t='a', l=[1], m=[1]) %}{% for i in range(60) %}"

  @Test(arguments: [
    ("{{ " + String(repeating: "1+", count: 400_000) + "1 }}", "a tag that is too long"),
    ("{{ a" + String(repeating: ".b", count: 400_000) + " }}", "a tag that is too long"),
    ("{{ a" + String(repeating: "|trim", count: 150_000) + " }}", "a tag that is too long"),
    ("{{ 1" + String(repeating: " or 1", count: 150_000) + " }}", "a tag that is too long"),
    (
      "{% macro m() %}{{ \(String(repeating: "(1+", count: 80))m()"
        + String(repeating: ")", count: 80) + "}}{% endmacro %}{{ m() }}", "nested too deeply"
    ),
    (doubling + "{% set n.t = n.t ~ n.t %}{% endfor %}", "a text that is too long"),
    (doubling + "{% set n.l = n.l + n.l %}{% endfor %}", "a text that is too long"),
    (
      doubling + "{% set n.l = [n.l, n.l] %}{% set n.m = [n.m, n.m] %}{% endfor %}"
        + "{{ n.l == n.m }}", "a text that is too long"
    ),
    (
      doubling.replacing("60", with: "20") + "{% set n.t = n.t ~ n.t %}{% endfor %}"
        + "{{ n.t.replace('a', n.t) }}", "a text that is too long"
    ),
    (
      doubling.replacing("60", with: "18") + "{% set n.t = n.t ~ n.t %}{% endfor %}"
        + "{{ n.t | list | join(n.t) }}", "a text that is too long"
    ),
    (
      "{% set n = namespace(a=[]) %}{% for i in range(99999) %}{% set n.a = [n.a] %}{% endfor %}",
      "does not come to an end"
    ),
    (
      "{% set n = namespace(a=1) %}{% for i in range(99999) %}"
        + "{% set n.a = namespace(a=n.a) %}{% endfor %}", "does not come to an end"
    ),
    (
      "{% for i in range(99999) %}{{ range(99999) | list | length }}{% endfor %}",
      "too many of them"
    ),
  ])
  func isRefused(template: String, expected: String) {
    let error = #expect(throws: Fault.self) { try prompt(template) }
    #expect(error?.kind == .malformed && "\(error!)".contains(expected), "\(error!)")
  }

  /// Tags that each pass over the white space behind them do not look at the rest of the template.
  @Test func manyTagsAreReadOnce() throws {
    #expect(try prompt(String(repeating: "{{- 1 -}}", count: 20_000)).utf8.count == 20_000)
  }

  @Test(arguments: [
    ("{{ 'aaab'.replace('aab', 'x') }}", "ax"), ("{{ 'ababa'.split('aba') | join('|') }}", "|ba"),
    ("{{ 'abcabcabd' is eq('x') or 'abcabd' in 'abcabcabd' }}", "True"),
    ("{{ 'aab' in 'aaac' }}{{ '' in '' }}{{ 'a' in '' }}", "FalseTrueFalse"),
    ("{{ 'aXbXcX'.split('X', 2) | join('-') }}", "a-b-cX"),
  ])
  func textsAreFound(template: String, expected: String) throws {
    #expect(try prompt(template) == expected)
  }

  private func prompt(_ template: String) throws -> String {
    try ChatTemplate(template, file: "template").prompt(user: "x", specialTexts: [:])
  }
}
