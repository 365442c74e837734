package import Passes
package import Platform
internal import Reports

/// What `fathom verify` says of one candidate or of several: one has its report alone, several a
/// summary before theirs.
package struct VerifyReports: Sendable {
  /// A report for each candidate, in the order in which they were named.
  package let reports: [VerifyReport]

  /// Opens everything, compares and applies thresholds; see `VerifyReport.all`.
  ///
  /// - Throws: as that does.
  package init(
    _ request: VerifyRequest, forecast: (Forecast) -> Void = { _ in },
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    self.init(try VerifyReport.all(request, forecast: forecast, progress: progress))
  }

  /// Collects reports on one reference; there is at least one.
  package init(_ reports: [VerifyReport]) {
    precondition(!reports.isEmpty)
    self.reports = reports
  }

  /// The worst of the verdicts.
  package var verdict: VerifyReport.Verdict {
    reports.map(\.verdict).first { $0 == .fail } ?? reports[0].verdict
  }

  /// The report of the only candidate; nil where there are several.
  package var single: VerifyReport? { reports.count == 1 ? reports[0] : nil }

  /// The document of schema `fathom.verify/1`.
  package var json: JSONValue {
    if let single { return single.json }
    return .object([
      "schema": .string("fathom.verify/1"), "verdict": .string(verdict.rawValue),
      "reference": .string(reports[0].reference), "candidates": .array(reports.map(\.json)),
    ])
  }

  /// The columns of the summary, and what they say of a candidate.
  private var columns: [(title: String, cell: (VerifyReport) -> String)] {
    var columns: [(title: String, cell: (VerifyReport) -> String)] = [
      ("candidate", { Folder.name(of: $0.candidate).text }),
      ("size", { $0.sizes.candidate.map { Quantity.bytes($0.bytes) } ?? "–" }),
      (
        "bits per weight",
        { $0.sizes.candidate.map { Quantity.fixed($0.bitsPerWeight, digits: 2) } ?? "–" }
      ),
      (
        "KL, mean",
        { report in
          let main = report.comparison.main
          return VerifyReport.measured(
            main.klMean, main.interval?.standardError ?? main.statistics.klError)
        }
      ),
      ("same top token", { Quantity.attained($0.comparison.main.top1Agreement) }),
      ("perplexity ratio", { Quantity.significant($0.comparison.main.perplexityRatio) }),
    ]
    if reports.contains(where: { !$0.drafts.isEmpty }) {
      columns.append(
        ("drafts kept", { $0.drafts.first.map { Quantity.attained($0.candidate) } ?? "–" }))
    }
    columns.append(("verdict", { $0.verdict.rawValue }))
    return columns
  }

  /// The report for people: of several a line each, what fails, and the verdict last.
  package var text: OutputText {
    if let single { return single.text }
    var table = TextTable(
      columns.enumerated().map { ($1.title, $0 == 0 ? .left : .right) }, namesFirst: true)
    for report in reports { table.add(columns.map { $0.cell(report) }) }
    var lines: [OutputText] = ["reference: \(reports[0].reference)"] + table.lines + [""]
    for report in reports {
      for note in report.notes { lines.append("note: \(report.candidate): \(note)") }
      for outcome in report.outcomes where !outcome.holds {
        lines.append(
          "\(VerifyReport.fails): \(report.candidate): \(outcome.name) \(Quantity.significant(outcome.limit)), "
            + "measured \(outcome.shownValue)")
      }
      for head in report.heads where head.metrics.nonFinite > 0 {
        lines.append(
          "\(VerifyReport.fails): \(report.candidate): \(Quantity.plural(head.metrics.nonFinite, "logit")) of "
            + "\(head.name) not finite")
      }
    }
    let failing = reports.count { $0.verdict == .fail }
    lines.append(
      failing == 0
        ? "\(verdict.painted): \(Quantity.plural(reports.count, "candidate")) (\(reports[0].limitsText))"
        : "\(verdict.painted): \(failing) of \(reports.count) candidates (\(reports[0].limitsText))"
    )
    return lines.joined(separator: "\n") + "\n"
  }

  /// A summary in GitHub's Markdown.
  package var markdown: String {
    if let single { return single.markdown }
    let rows = reports.map { report in columns.map { $0.cell(report) } }
    return
      ([
        "### fathom verify: \(verdict.rawValue)", "against \(Markdown.code(reports[0].reference))",
        Markdown.table(columns.map(\.title), rows),
      ] + reports.map(\.markdown)).joined(separator: "\n\n")
  }

  /// JUnit's XML: a suite for each candidate.
  ///
  /// - Parameter clock: when the comparison began and how long it took.
  package func junit(_ clock: Stopwatch) -> String {
    """
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites>
    \(reports.enumerated().map { $1.junitSuite(clock, number: $0) }.joined(separator: "\n"))
    </testsuites>

    """
  }

  /// The table of several reports: what each candidate costs and loses.
  package var summary: (titles: [String], rows: [[String]]) {
    (columns.map(\.title), reports.map { report in columns.map { $0.cell(report) } })
  }
}
