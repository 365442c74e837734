import Foundation
import Support

/// A composite action of GitHub's, read as far as `Samples/ci/action.yml` goes: its inputs with
/// their defaults, and the steps that run a shell.
struct CompositeAction {
  /// A step that runs a shell.
  struct Step {
    var name = ""
    var id = ""
    var environment: [(key: String, value: String)] = []
    var script = ""
  }

  private(set) var defaults: [String: String] = [:]
  private(set) var required: Set<String> = []
  private(set) var steps: [Step] = []

  init(_ text: String) {
    var section = ""
    var input = ""
    var key = ""
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let indent = line.prefix { $0 == " " }.count
      let words = line.dropFirst(indent)
      if key == "run", indent >= 8 || words.isEmpty {
        steps[steps.count - 1].script += line.dropFirst(8) + "\n"
        continue
      }
      guard !words.isEmpty, !words.hasPrefix("#") else { continue }
      let (name, value) = CompositeAction.pair(words)
      switch (section, indent) {
      case (_, 0): section = name
      case ("inputs", 2): input = name
      case ("inputs", 4) where name == "default": defaults[input] = value
      case ("inputs", 4) where name == "required": required.insert(input)
      case ("runs", 4): steps.append(Step(name: value))
      case ("runs", 6):
        key = name
        if name == "id" { steps[steps.count - 1].id = value }
      case ("runs", 8) where key == "env":
        steps[steps.count - 1].environment.append((name, value))
      default: break
      }
    }
    steps.removeAll { $0.script.isEmpty }
  }

  /// `- name: value`, without quotes around the value.
  private static func pair(_ words: Substring) -> (String, String) {
    let text = words.hasPrefix("- ") ? words.dropFirst(2) : words
    let end = text.firstIndex(of: ":") ?? text.endIndex
    let value = text[end...].dropFirst().trimmingCharacters(in: .whitespaces)
    return (String(text[..<end]), value.trimmingCharacters(in: ["'"]))
  }

  /// The text with what `values` says in the place of `${{ name }}`; nil where a name is unknown.
  static func filled(_ text: String, _ values: [String: String]) -> String? {
    var result = ""
    var rest = text[...]
    while let start = rest.range(of: "${{") {
      guard let end = rest.range(of: "}}") else { return nil }
      let name = rest[start.upperBound..<end.lowerBound].trimmingCharacters(in: .whitespaces)
      guard let value = values[name] else { return nil }
      result += rest[..<start.lowerBound] + value
      rest = rest[end.upperBound...]
    }
    return result + rest
  }
}
