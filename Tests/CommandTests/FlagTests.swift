import Foundation
import Support
import Testing

/// Every flag that a command declares is known where people and shells look for it, and is tried.
@Suite struct FlagTests {
  /// A command's long flags, as ArgumentParser dumps them.
  private struct Command {
    let words: [String]
    let flags: [String]
    let children: [Command]

    init(_ object: [String: Any], below words: [String] = []) {
      self.words = words + [object["commandName"] as? String ?? ""]
      let arguments = object["arguments"] as? [[String: Any]] ?? []
      flags = arguments.flatMap { $0["names"] as? [[String: String]] ?? [] }
        .filter { $0["kind"] == "long" }.compactMap { $0["name"] }
      let below = self.words
      children = (object["subcommands"] as? [[String: Any]] ?? []).map { Command($0, below: below) }
    }

    var all: [Command] { [self] + children.flatMap(\.all) }
  }

  private func commands() throws -> [Command] {
    let dump = try FathomProcess("--experimental-dump-help")
    let root = try JSONSerialization.jsonObject(with: Data(dump.output.utf8)) as? [String: Any]
    let command = try #require(root?["command"] as? [String: Any])
    return Command(command).all.filter { $0.words.last != "help" }
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func completionsHaveEveryFlag(shell: String) throws {
    let script = try FathomProcess("--generate-completion-script", shell).output
    // fish has a flag without its dashes, after a word of its own, and quotes it.
    let marks = shell == "fish" ? ("-l '", "'") : ("--", "")
    for command in try commands() {
      let missing = command.flags.filter { !script.contains(marks.0 + $0 + marks.1) }
      #expect(missing.isEmpty, "\(command.words)")
      #expect(command.words.count < 2 || script.contains(command.words[1]))
    }
  }

  /// A flag is tried where a file of tests, or one of `scripts/interop`, runs its command and names it.
  @Test func everyFlagIsTried() throws {
    var files: [(commands: Set<String>, words: Set<String>)] = []
    for (folder, ending) in [("Tests", ".swift"), ("scripts/interop_checks", ".py")] {
      let names = FileManager.default.enumerator(atPath: "\(Repository.root)/\(folder)")
      for case let name as String in names ?? .init()
      where name.hasSuffix(ending) && !name.hasSuffix("/FlagTests.swift") {
        let text = try String(
          contentsOfFile: "\(Repository.root)/\(folder)/\(name)", encoding: .utf8)
        // A name ends where what follows cannot belong to one; a table of names leaves out the dashes.
        let words = text.split {
          !($0.isASCII && ($0.isLetter || $0.isNumber) || "-\"".contains($0))
        }
        files.append((Set(words.filter { $0.hasPrefix("\"") }.map(String.init)), []))
        files[files.count - 1].words = Set(words.map(String.init))
      }
    }
    for command in try commands() where command.words.count > 1 {
      #expect(!command.flags.isEmpty)
      let own = files.filter { $0.commands.contains("\"\(command.words[1])\"") }
      for flag in command.flags where !["help", "version"].contains(flag) {
        let spellings = ["--\(flag)", "\"--\(flag)\"", "\"\(flag)\"", "\"--\(flag)"]
        #expect(
          own.contains { file in spellings.contains { file.words.contains($0) } },
          "\(command.words) --\(flag)")
      }
    }
  }
}
