import Foundation
import ParserEntries
import Platform
import Support
import Testing

/// The inputs that fuzzing has found worth keeping, read by the same parsers in an ordinary build.
@Suite struct CorpusTests {
  static let folder = Repository.root + "/Fuzz"

  private static func names(_ folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "\(Self.folder)/\(folder)")) ?? [])
      .sorted()
  }

  /// Paths of a parser's inputs, those that once broke it among them.
  private static func inputs(_ name: String) -> [String] {
    ["Corpora", "Regressions"].flatMap { kind in
      names("\(kind)/\(name)").map { "\(folder)/\(kind)/\(name)/\($0)" }
    }
  }

  @Test func everyParserHasATargetAndACorpus() throws {
    let parsers = ParserEntry.all.map(\.name).sorted()
    #expect(Set(parsers).count == parsers.count)
    #expect(CorpusTests.names("Targets") == parsers)
    #expect(CorpusTests.names("Corpora") == parsers)
    let package = String(decoding: try contents(Repository.root + "/Package.swift"), as: UTF8.self)
    for parser in parsers { #expect(package.contains("\"\(parser)\""), "\(parser)") }
    for kind in ["Dictionaries", "Regressions"] {
      let others = CorpusTests.names(kind).map { ($0 as NSString).deletingPathExtension }
      #expect(Set(others).isSubset(of: parsers), "\(kind)")
    }
  }

  @Test func corporaAreSmall() throws {
    var size = 0
    for parser in ParserEntry.all {
      for path in CorpusTests.inputs(parser.name) { size += try contents(path).count }
    }
    #expect(size > 0 && size <= 400_000, "\(size) bytes")
  }

  /// Each input is accepted, or refused in one clear line, soon.
  @Test(arguments: ParserEntry.all.map(\.name))
  func inputsAreReadOrRefused(name: String) throws {
    let parser = try #require(ParserEntry.all.first { $0.name == name })
    var answers: Set<Bool> = []
    for path in CorpusTests.inputs(name) {
      let start = CorpusTests.processorTime()
      let fault = try parser.read(contents(path))
      let seconds = CorpusTests.processorTime() - start
      #expect(seconds < 2 * Sanitizer.slowness, "\(path): \(seconds) s")
      if let fault { #expect(ParserEntry.isClear(fault), "\(path): \(fault)") }
      answers.insert(fault == nil)
    }
    #expect(answers == [true, false], "a corpus has both kinds")
  }

  /// Seconds that this thread has worked: those of other tests do not count.
  private static func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
