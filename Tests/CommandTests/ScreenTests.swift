import Foundation
import Support
import Testing

/// What commands show in terminals of 60, 80 and 120 columns, as `scripts/make screens` has kept it.
@Suite struct ScreenTests {
  private static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures/screens"

  /// Each screen's command, as in the script's list.
  private static func commands() throws -> [(name: String, line: String)] {
    String(decoding: try contents(folder + "/commands.txt"), as: UTF8.self)
      .split(separator: "\n").map { line in
        let parts = line.split(separator: ":", maxSplits: 1)
        return (String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces))
      }
  }

  /// Runs a line in a terminal of so many columns.
  static func show(_ line: String, columns: Int) throws -> [Substring] {
    let run = try FathomProcess(
      program: "/usr/bin/script",
      ["-qec", "stty cols \(columns); \(line)", "/dev/null"],
      environment: ["PATH": FathomProcess.searchPath, "NO_COLOR": "1", "SHELL": "/bin/sh"],
      folder: Repository.root)
    // A terminal ends lines its own way; a line of progress is drawn and taken away.
    return run.output.replacing("\r\n", with: "\n").replacing("\r\u{1B}[K", with: "")
      .split(separator: "\n", omittingEmptySubsequences: false)
      // Free disk is this machine's.
      .filter { !$0.contains("are free there") }
  }

  @Test(arguments: [60, 80, 120]) func screensAreAsTheyWere(columns: Int) throws {
    let commands = try ScreenTests.commands()
    #expect(commands.count >= 8)
    for (name, line) in commands {
      let path = "\(ScreenTests.folder)/\(name)-\(columns).txt"
      let kept = String(decoding: try contents(path), as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false)
      let shown = try ScreenTests.show(line, columns: columns)
      #expect(shown.count == kept.count, "\(name): \(shown.joined(separator: "\n"))")
      for (one, other) in zip(shown, kept) {
        #expect(PrintedLine.isSame(one, other), "\(name), \(columns) columns")
      }
      for line in shown where line.count > columns {
        #expect(!line.contains(" "), "only a word may be wider: \(line)")
      }
    }
  }

  /// A pipe gets lines as long as they are.
  @Test func aPipeIsNoWindow() throws {
    let shown = try ScreenTests.show("fathom inspect Samples/tiny-fp8 | cat", columns: 40)
    #expect(shown.contains { $0.count > 80 })
    let json = try ScreenTests.show("fathom validate Samples/tiny-fp8 --format json", columns: 40)
    _ = try JSONDocument(json.joined(separator: "\n"))
  }

  /// A file that is written beside a terminal is as wide as what it says.
  @Test func aFileIsNoWindow() throws {
    let workspace = try Workspace()
    let sample = Repository.samples + "/tiny-fp8"
    let file = workspace.path("report.txt")
    _ = try ScreenTests.show("fathom inspect \(sample) -o \(file)", columns: 40)
    #expect(try contents(file) == Array(try FathomProcess("inspect", sample).output.utf8))
    let other = workspace.path("verify.txt")
    let tiny = Repository.samples + "/tiny-tied"
    _ = try ScreenTests.show("fathom verify \(tiny) \(tiny) --report text=\(other)", columns: 40)
    #expect(try contents(other) == Array(try FathomProcess("verify", tiny, tiny).output.utf8))
  }
}
