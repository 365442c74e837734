import Foundation
import Support
import Testing

/// The rules of the house that a program can check.
@Suite struct StyleTests {
  static let swift = ["Sources/", "Tests/", "Fuzz/"].flatMap {
    SourceTree.files(below: $0, endings: [".swift"])
  }
  /// Tables of constants are long by nature.
  static let longFiles: Set<String> = []

  /// Rules that walk no files hold nothing: neither with git nor without.
  @Test func thereAreFilesToCheck() {
    #expect(StyleTests.swift.count > 400)
    #expect(SourceTree.walked.count { $0.hasSuffix(".swift") } >= StyleTests.swift.count)
    #expect(SourceTree.walked.count { $0.hasPrefix("Sources/") } >= SourceTree.sources.count)
  }

  @Test func formatIsLinted() throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.currentDirectoryURL = URL(fileURLWithPath: Repository.root)
    process.arguments = [
      "swift", "format", "lint", "--strict", "--parallel", "--recursive", "--configuration",
      ".swift-format", "Sources", "Tests", "Fuzz", "Package.swift",
    ]
    let pipe = Pipe()
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(String(decoding: data.prefix(4000), as: UTF8.self))")
  }

  @Test(arguments: swift)
  func filesAreShort(file: SourceFile) {
    guard !StyleTests.longFiles.contains(file.path) else { return }
    #expect(file.lines.count <= 350, "\(file.path)")
  }

  @Test(arguments: SourceTree.sources)
  func whatOthersCanCallHasAComment(file: SourceFile) {
    for (index, line) in file.lines.enumerated() {
      let code = line.drop { $0 == " " }
      let level = ["public", "package"].first { code.hasPrefix("\($0) ") }
      guard let level, !code.hasPrefix("\(level) import"), !code.hasPrefix("\(level) extension")
      else { continue }
      var above = index - 1
      while above >= 0, file.lines[above].drop(while: { $0 == " " }).hasPrefix("@") { above -= 1 }
      let comment = above >= 0 ? file.lines[above].drop { $0 == " " } : ""
      #expect(comment.hasPrefix("///"), "\(file.path):\(index + 1): \(code)")
    }
  }

  @Test(arguments: swift)
  func noLineIsOnlyCodeCommentedOut(file: SourceFile) {
    for (index, line) in file.lines.enumerated() {
      let code = line.drop { $0 == " " }
      let isCode = ["// let ", "// var ", "// func ", "// return ", "// if ", "// for "].contains {
        code.hasPrefix($0) && (code.hasSuffix("{") || code.hasSuffix(")") || code.contains(" = "))
      }
      #expect(!isCode, "\(file.path):\(index + 1)")
      let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
      #expect(!marks.contains { line.contains($0) }, "\(file.path):\(index + 1)")
    }
  }

  @Test func namesSayWhatThingsAre() {
    for path in SourceTree.paths {
      for word in ["Utils", "Helpers", "Manager"] { #expect(!path.contains(word), "\(path)") }
    }
  }
}
