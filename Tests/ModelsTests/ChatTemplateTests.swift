import Models
import Platform
import Support
import Testing
import Text

/// Prompts equal to those of transformers, and what templates are told that cannot be used.
@Suite struct ChatTemplateTests {
  private static let special = ["bos_token": "<|begin|>", "eos_token": "<|end|>"]

  @Test func promptsAreThoseOfTransformers() throws {
    let fixture = try TokenizerFixture.json("chat-templates.json")
    let texts = (fixture["texts"]?.list ?? []).compactMap(\.string)
    let rows = fixture["templates"]?.list ?? []
    #expect(texts.count > 3 && rows.count > 10)
    for row in rows {
      let template = try ChatTemplate(row["template"]?.string ?? "", file: "template")
      let prompts = row["prompts"]?.list ?? []
      #expect(prompts.count == texts.count)
      for (text, prompt) in zip(texts, prompts) {
        let found = try template.prompt(user: text, specialTexts: ChatTemplateTests.special)
        #expect(
          Array(found.utf8) == Array((prompt.string ?? "").utf8), "\(row["name"]?.string ?? "")")
      }
    }
  }

  @Test(arguments: [
    ("a{{ b", "a tag without an end at byte 1"), ("{{ 'b }}", "a string without an end at byte 3"),
    ("{# b", "a comment without an end at byte 0"),
    ("{% if true %}", "a statement without its end"),
    ("{% endif %}", "a statement of Jinja that is not supported"),
    ("{% include 'x' %}", "expected if, for, set, macro"),
    ("{{ (1 }}", "a bracket without its other"),
    ("{{ 1 + }}", "expected a value, found the end of the tag"),
    ("{{ 1 2 }}", "expected the end of the tag, found 2"), ("{{ a ? b }}", "at byte 5"),
    ("{% for x of y %}", "expected in, found of"),
    ("{{ '\\ud800' }}", "an escape that is no character"),
    ("{{ \(String(repeating: "(", count: 300))1", "a tag without an end"),
    (
      "{{ \(String(repeating: "[", count: 300))\(String(repeating: "]", count: 300)) }}",
      "too deeply"
    ),
    ("{{ \(String(repeating: "not ", count: 300))1 }}", "too deeply"),
    ("{{ \(String(repeating: "-", count: 300))1 }}", "too deeply"),
    (String(repeating: "{% if true %}", count: 300), "too deeply"),
  ])
  func whatCannotBeReadIsRefused(template: String, expected: String) {
    refuses(template, expected)
  }

  @Test(arguments: [
    (
      "{{ 'a'|wordwrap }}", "a filter of Jinja that is not supported here at byte 6: found wordwrap"
    ),
    ("{{ 'a' is lower }}", "a test of Jinja that is not supported"),
    ("{{ 'a'.title() }}", "a method of Jinja that is not supported"),
    ("{{ lipsum() }}", "no function that Fathom knows"),
    ("{{ strftime_now('%d') }}", "asks for the date"),
    ("{{ raise_exception('no ' ~ 1) }}", "does not take the text at byte 18: found no 1"),
    ("{{ missing.member }}", "a member of what is not defined"),
    ("{{ [1] }}", "a value that is no text"),
    ("{{ 1 + 'a' }}", "'+' on values that do not have it"), ("{{ 1 // 0 }}", "'//' on values"),
    ("{{ 9223372036854775807 + 1.5 * 1 }}", "a value that is no text"),
    ("{{ 1 < 'a' }}", "with '<' that do not have it"),
    ("{% for x in 5 %}{% endfor %}", "loops over what is no list"),
    ("{% for i in range(1000000000) %}{% endfor %}", "found range"),
    ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "to an end"),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls a macro"),
    (
      "{% set n = namespace(t='aaaaaaaa') %}{% for i in range(60) %}{% set n.t = n.t + n.t %}"
        + "{% endfor %}", "a text that is too long"
    ),
  ])
  func whatCannotBeRunIsRefused(template: String, expected: String) {
    refuses(template, expected)
  }

  private func refuses(_ template: String, _ expected: String) {
    do {
      let prompt = try ChatTemplate(template, file: "model/tokenizer.json")
        .prompt(user: "x", specialTexts: [:])
      Issue.record("made \(prompt)")
    } catch {
      #expect(error.kind == .malformed)
      #expect("\(error)".hasPrefix("model/tokenizer.json: chat template "), "\(error)")
      #expect("\(error)".contains(expected), "\(error)")
    }
  }

  /// A file of its own comes before the settings, and of named ones the default counts.
  @Test func theTemplateIsChosenAsByTransformers() throws {
    func template(_ settings: JSONValue?, _ file: String? = nil) throws -> String? {
      try TokenizerFixture.files([:], settings: settings, template: file).chatTemplate
    }
    let one: JSONValue = .object(["chat_template": .string("one")])
    #expect(try template(one) == "one")
    #expect(try template(one, "two") == "two")
    #expect(try template(nil) == nil)
    let choices: [JSONValue] = ["tool_use", "default"].map {
      .object(["name": .string($0), "template": .string("for " + $0)])
    }
    #expect(try template(.object(["chat_template": .array(choices)])) == "for default")
    #expect(try template(.object(["chat_template": .array([choices[0]])])) == nil)
  }

  @Test func aChatIsTokenizedWithoutFurtherTokens() throws {
    let files = try TokenizerFixture.files(
      [:], settings: .object(["bos_token": .object(["content": .string("<|begin|>")])]),
      template: "{{ bos_token }}<|user|>{{ messages[0].content }}")
    let tokenizer = try Tokenizer(files, folder: "model")
    let plain = try tokenizer.encode("It's.", addingSpecialTokens: false)
    #expect(try tokenizer.encode(chat: "It's.") == [0, 2] + plain)
    let error = #expect(throws: Fault.self) {
      try TokenizerFixture.tokenizer().encode(chat: "It's.")
    }
    #expect(error?.kind == .notFound)
  }
}
