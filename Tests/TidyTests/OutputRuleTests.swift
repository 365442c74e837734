import Support
import Testing

/// What reaches a terminal, a CI server's log or a report went through an escaper.
@Suite struct OutputRuleTests {
  /// Where finished documents become output texts: escapers, and those who put pieces of documents
  /// together.
  static let documents: Set<String> = [
    "Sources/Platform/OutputText.swift", "Sources/Platform/JSON/JSONValue.swift",
    "Sources/Reports/StreamedJSON.swift", "Sources/Reports/Terminal.swift",
    "Sources/Reports/TextTable.swift",
    "Sources/Conversion/Manifest/ManifestText.swift", "Sources/fathom/InspectCommand.swift",
    "Sources/fathom/VerifyFormat.swift", "Sources/Inspection/Hash/HashReport.swift",
    "Sources/Pages/UnfinishedWorkReport.swift",
    "Sources/fathom/ResumeCommand.swift", "Sources/fathom/RecipeCommand.swift",
  ]

  /// `Console` takes output texts alone, and nobody else writes.
  static let writers = [
    "print(", "debugPrint(", "dump(", "puts(", "fputs(", "printf(", "fprintf(", "FileHandle",
    "STDOUT_FILENO", "STDERR_FILENO", "FileDescriptor",
  ]

  @Test func theListIsOfFiles() {
    #expect(OutputRuleTests.documents.isSubset(of: Set(SourceTree.sources.map(\.path))))
  }

  @Test(arguments: SourceTree.sources)
  func onlyEscapersVouchForATextAsAWhole(file: SourceFile) {
    guard !OutputRuleTests.documents.contains(file.path) else { return }
    for (index, line) in file.lines.enumerated() {
      #expect(
        !line.contains("OutputText(document:") && !line.contains("OutputText(stringLiteral:"),
        "\(file.path):\(index + 1)")
    }
  }

  @Test(arguments: SourceTree.sources)
  func onlyTheConsolePrints(file: SourceFile) {
    // One prints; the other occupies descriptors that are closed.
    let own = ["Sources/Platform/Console.swift", "Sources/Platform/Launch.swift"]
    guard !own.contains(file.path) else { return }
    for (index, line) in file.lines.enumerated() {
      // A template's own `print` prints into a text.
      guard !file.path.hasPrefix("Sources/Text/ChatTemplate/") else { continue }
      let words = line.split { !($0.isLetter || $0 == "_" || $0 == "(") }
      for writer in OutputRuleTests.writers {
        #expect(
          !words.contains { $0 == writer || $0.hasPrefix(writer) },
          "\(file.path):\(index + 1) writes by \(writer)")
      }
    }
  }

  /// A tag can be moved to other code.
  @Test func actionsOfOthersAreNamedByCommit() throws {
    let commit = try Regex("uses: [A-Za-z0-9./_-]+@[0-9a-f]{40}( # v[0-9.]+)?$")
    var found = 0
    for file in SourceTree.files(below: "", endings: [".yml", ".yaml"]) {
      for (index, line) in file.lines.enumerated() where line.contains("uses:") {
        found += 1
        #expect(line.firstMatch(of: commit) != nil, "\(file.path):\(index + 1)")
      }
    }
    #expect(found == 3)
  }
}
