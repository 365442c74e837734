import Foundation

/// Texts that try to leave their place wherever they are printed, and what must not be printed.
package enum HostileText {
  /// A name that a folder, file or tensor can have: it forges a verdict, moves a terminal's cursor,
  /// turns its direction, speaks to CI servers, ends elements, attributes, sections, code and cells,
  /// and becomes links and mentions in GitHub's Markdown.
  package static let name =
    "pass: m against m (9 thresholds)\n::error::e\r##vso[task.x]y ##[error]z ##teamcity[t]"
    + "\u{1b}]0;t\u{7}\u{9b}2J\u{202e}\u{200b}\u{2066}\u{e0041}<script>&\"'`|]]>\\n\\u{1b}\\ www.a.com "
    + "me@a.com @me #1"

  /// A name of a model's part that begins a line with a command.
  package static let part = "::error::\u{202e}X\n  ::stop-commands::Y\npass ##vso[a]`|<script>\\"

  /// Words that begin the lines of verdicts.
  static let verdicts = [
    "pass", "fail", "valid", "invalid", "same", "different", "sound", "measured",
  ]

  /// Marks of commands that servers look for at the beginnings of lines, after spaces, or anywhere.
  private static let commands = ["##vso[", "##[", "##teamcity["]

  /// Whether a character does not show, from the ranges of Unicode's tables rather than from the
  /// product's own rule.
  private static func isHidden(_ character: Unicode.Scalar) -> Bool {
    switch character.value {
    case 0x0A: false
    case 0...0x1F, 0x7F...0x9F, 0xAD, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF,
      0xE0000...0xE0FFF:
      true
    default: false
    }
  }

  /// What a terminal or a CI server would take amiss in what was printed, a line each.
  ///
  /// - Parameter verdicts: most lines that may begin with a verdict's word.
  package static func faults(in text: String, verdicts most: Int) -> [String] {
    var faults: [String] = []
    for character in text.unicodeScalars where isHidden(character) {
      faults.append("raw U+\(String(character.value, radix: 16))")
    }
    var verdicts = 0
    for line in text.split(separator: "\n") {
      if line.trimmingCharacters(in: .whitespaces).hasPrefix("::") { faults.append("\(line)") }
      for command in commands where line.contains(command) { faults.append("\(line)") }
      // A verdict is its word alone, or the word before a colon.
      let word = String(line.prefix { $0.isLetter })
      let rest = line.dropFirst(word.count)
      if HostileText.verdicts.contains(word), rest.isEmpty || rest.first == ":" { verdicts += 1 }
    }
    if verdicts > most { faults.append("\(verdicts) verdicts in:\n\(text)") }
    return faults
  }

  /// What GitHub would make links, mentions, elements or other rows of, outside code.
  package static func faults(inMarkdown text: String) -> [String] {
    var faults: [String] = []
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: "`", omittingEmptySubsequences: false)
      if parts.count % 2 == 0 { faults.append("code without an end: \(line)") }
      for (index, part) in parts.enumerated() {
        let isCode = index % 2 == 1
        let marks = isCode ? ["|"] : ["www.", "@", "<", "script", "://", "#1", "\\"]
        for mark in marks where part.contains(mark) { faults.append("\(mark) in \(line)") }
      }
    }
    return faults
  }

  /// All strings of a JSON document, keys included.
  package static func strings(in value: Any) -> [String] {
    switch value {
    case let text as String: [text]
    case let list as [Any]: list.flatMap { strings(in: $0) }
    case let object as [String: Any]: object.flatMap { [$0] + strings(in: $1) }
    default: []
    }
  }
}
