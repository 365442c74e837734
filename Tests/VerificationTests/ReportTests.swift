import Foundation
import FoundationXML
import Pages
import Platform
import Reports
import Support
import Testing
import Verification

/// The forms of a report of `verify`, made from reports without a model behind them.
@Suite struct ReportTests {
  static let plots = [
    "kl-main", "kl-mtp", "layer-error", "router-agreement", "expert-use", "expert-error",
    "type-map", "bytes-layers", "bytes-parts",
  ]

  private func text(_ report: VerifyReport) -> String {
    report.page(origin: PageOrigin(["/bin/fathom", "verify", "a", "<b>"], Stopwatch()))
  }

  private func page(_ report: VerifyReport) throws -> XMLElement {
    try XMLSchema.parse(Data(text(report).utf8))
  }

  private func count(_ path: String, in element: XMLElement) throws -> Int {
    try element.nodes(forXPath: path).count
  }

  @Test func thePageHasEveryPlot() throws {
    let page = try page(SyntheticReport.make())
    for plot in ReportTests.plots {
      let marks = try count(
        "//figure[@id='\(plot)']//svg[@role='img' and @aria-label]//rect", in: page)
      #expect(marks > 3, "\(plot)")
    }
    #expect(try count("//section[@id='worst']//tbody/tr", in: page) == 20)
    #expect(try count("//section[@id='blame']//tbody/tr", in: page) == 12)
    #expect(try count("//section[@id='thresholds']//tbody/tr", in: page) == 3)
    #expect(try count("//td[@class='bad']", in: page) == 3)
    #expect(try count("//figure[@id='kl-main']//g[title]", in: page) == 50 + 2)
  }

  /// Each position is in one bar; each token has the shade of the divergence before it.
  @Test func divergencesAreCountedAndShownInTheText() throws {
    let report = try SyntheticReport.make()
    let page = try page(report)
    let titles = try page.nodes(forXPath: "//figure[@id='histogram-main']//title")
      .compactMap(\.stringValue)
    let counted = titles.compactMap { Int($0.split(separator: " ")[0]) }
    let positions = report.comparison.main.positions
    #expect(counted.reduce(0, +) == positions.count { $0.divergence > 0 && $0.divergence.isFinite })
    var (place, expected) = (0, 0)
    for tokens in report.sequences {
      expected += positions[place..<(place + tokens.count - 1)].count { $0.divergence >= 1e-3 }
      place += tokens.count
    }
    #expect(expected > 10)
    #expect(try count("//section[@id='text']//span[@class]", in: page) == expected)
  }

  @Test func thePageRunsAndLoadsNothing() throws {
    let report = try SyntheticReport.make()
    let page = try page(report)
    for name in ["script", "link", "img", "iframe", "object", "embed", "base", "form"] {
      #expect(try count("//\(name)", in: page) == 0, "\(name)")
    }
    let attributes = try page.nodes(forXPath: "//@*").compactMap(\.name)
    #expect(attributes.allSatisfy { !$0.hasPrefix("on") && $0 != "src" })
    #expect(!text(report).contains("url(") && !text(report).contains("@import"))
    #expect(text(report).contains("default-src 'none'"))
  }

  /// The contents lead to every section and nowhere else; the head says what made the page.
  @Test func thePageCanBeTracedAndWalked() throws {
    let page = try page(SyntheticReport.make())
    let links = try page.nodes(forXPath: "//a/@href").compactMap(\.stringValue)
    let sections = try page.nodes(forXPath: "//section/@id").compactMap(\.stringValue)
    #expect(links == sections.map { "#" + $0 } && links.count > 8)
    let origin = try page.nodes(forXPath: "//p[@class='origin']").first?.stringValue ?? ""
    #expect(origin.hasPrefix("fathom \(FathomVersion.text), 20"))
    let (reference, candidate) = (BLAKE3.hash([1]).text, BLAKE3.hash([2]).text)
    let tokens = try SyntheticReport.make().tokenHash.text
    #expect(
      origin.hasSuffix(
        " UTC: fathom verify a <b>reference: BLAKE3 \(reference) of all tensors, by the manifest "
          + "beside it; not read againcandidate: BLAKE3 \(candidate) of its headers and config, not "
          + "of its weightstokens: BLAKE3 \(tokens) of the ids as numbers of 32 bits"), "\(origin)")
  }

  @Test func whatABaselineDoesNotKnowIsSaid() throws {
    let page = try page(SyntheticReport.make(isIsolated: false))
    #expect(try count("//figure[@id='expert-use']//rect", in: page) > 0)
    #expect(try count("//figure[@id='expert-error']", in: page) == 0)
    #expect(try count("//p[contains(., '--isolate')]", in: page) == 3)
    #expect(try count("//figure[@id='bytes-layers']", in: page) == 0)
  }

  /// Hundreds of layers and experts, long sequences.
  @Test func thePageIsBounded() throws {
    let large = try SyntheticReport.make(
      layers: 400, experts: 700, positions: 60_000, sequences: 30)
    let bytes = text(large).utf8.count
    #expect(bytes < 2_000_000, "\(bytes)")
    let page = try page(large)
    for plot in ReportTests.plots where plot.hasPrefix("kl") {
      let columns = try count("//figure[@id='\(plot)']//rect[@class='hit']", in: page)
      #expect((240...400).contains(columns))
    }
    #expect(large.markdown.utf8.count < 20_000)
    #expect(VerifyReports([large]).junit(Stopwatch()).utf8.count < 100_000)
  }

  @Test(arguments: [0, 1e-300, 1, Double.nan, .infinity])
  func anyNumberCanBeDrawn(value: Double) throws {
    let page = try page(SyntheticReport.make(value: value))
    let numbers = try page.nodes(forXPath: "//rect/@x | //rect/@y | //rect/@width | //rect/@height")
    #expect(!numbers.isEmpty)
    #expect(
      numbers.allSatisfy { Double($0.stringValue ?? "").map { $0 >= 0 && $0 <= 1000 } ?? false })
    let bad = try count("//figure[@id='layer-error']//rect[@class='bad']", in: page)
    #expect(value.isFinite ? bad == 0 : bad > 0)
  }

  @Test func emptyInputHasAPage() throws {
    let report = try SyntheticReport.make(layers: 1, experts: 0, positions: 0, sequences: 1)
    let page = try page(report)
    #expect(try count("//figure[@id='kl-main']", in: page) == 1)
    #expect(try count("//section[@id='router']", in: page) == 0)
  }

  // MARK: - JUnit

  @Test(arguments: [true, false]) func junitIsValid(passes: Bool) throws {
    let report = try SyntheticReport.make(passes: passes)
    #expect(report.verdict == (passes ? .pass : .fail))
    let text = VerifyReports([report]).junit(Stopwatch())
    #expect(try XMLSchema(named: "junit").faults(in: text) == [])
    let root = try XMLSchema.parse(Data(text.utf8))
    // A limit for the main model, one that follows for MTP, one for layers; two heads.
    #expect(try count("//testcase", in: root) == 5)
    #expect(try count("//testcase[failure]", in: root) == (passes ? 0 : 3))
    #expect(
      try count("//testsuite[@tests='5' and @failures='\(passes ? 0 : 3)']", in: root) == 1)
    let value = try root.nodes(forXPath: "//property[@name='main.klMean']/@value").first
    #expect(Double(value?.stringValue ?? "") == report.comparison.main.klMean)
  }

  @Test func aFailureHasItsLimitAndValue() throws {
    let text = VerifyReports([try SyntheticReport.make()]).junit(Stopwatch())
    let root = try XMLSchema.parse(Data(text.utf8))
    let message = try root.nodes(forXPath: "//testcase[@name='max-kl']/failure/@message").first
    #expect(message?.stringValue == "measured 0.005000, at most 0.0001000 is asked for")
  }

  @Test func logitsThatAreNotFiniteFail() throws {
    let text = VerifyReports([try SyntheticReport.make(value: .nan, passes: true)]).junit(
      Stopwatch())
    #expect(try XMLSchema(named: "junit").faults(in: text) == [])
    let root = try XMLSchema.parse(Data(text.utf8))
    #expect(try count("//testcase[starts-with(@name, 'every logit')]/failure", in: root) == 2)
    // What CI servers count by: the limits, which NaN does not keep, and both heads.
    let failed = try count("//testcase[failure]", in: root)
    #expect(failed > 2)
    #expect(try count("//testsuite[@failures='\(failed)']", in: root) == 1)
  }

  @Test func theCheckerSeesFaults() throws {
    let schema = try XMLSchema(named: "junit")
    let sound = VerifyReports([try SyntheticReport.make()]).junit(Stopwatch())
    for (part, other) in [
      ("tests=\"5\"", "tests=\"-5\""), ("id=\"0\"", ""), ("hostname=", "host="),
      ("<system-err></system-err>", ""), ("</testsuites>", "<x/></testsuites>"),
      ("timestamp=\"2", "timestamp=\"x2"), ("<testcase classname", "<testcase class"),
      ("&lt;", "<"),
      ("</properties>", "text</properties>"), ("name=\"max-kl\"", "name=\"max-kl \""),
    ] {
      let broken = sound.replacingOccurrences(of: part, with: other)
      #expect(broken != sound && !schema.faults(in: broken).isEmpty, "\(part) → \(other)")
    }
  }

  // MARK: - Markdown

  @Test func everyRowOfAMarkdownTableHasItsCells() throws {
    let lines = try SyntheticReport.make().markdown.split(
      separator: "\n", omittingEmptySubsequences: false)
    let rows = lines.filter { $0.hasPrefix("|") }
    #expect(rows.count > 20)
    for (row, next) in zip(lines, lines.dropFirst()) where row.hasPrefix("|") && next.hasPrefix("|")
    {
      #expect(row.split(separator: "|").count == next.split(separator: "|").count, "\(next)")
    }
    for line in lines {
      #expect(HostileText.faults(inMarkdown: String(line)) == [])
      let words = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
      let outside = words.filter { $0.offset % 2 == 0 }.map { String($0.element) }.joined()
      #expect(!outside.contains { "<>*_[]\\".contains($0) }, "\(line)")
      #expect(!line.contains("\u{1b}"))
    }
    #expect(lines[0] == "### fathom verify: fail ❌")
  }
}
