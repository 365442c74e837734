internal import Inspection
internal import Platform
package import Reports
package import Verification

extension VerifyReport {
  /// The report as one HTML page.
  package func page(origin: PageOrigin) -> String {
    var origin = origin
    origin.hashes = traces
    return VerifyPage(report: self).text(origin)
  }
}

extension VerifyReports {
  /// The report as one HTML page.
  package func page(origin: PageOrigin) -> String {
    if let single { return single.page(origin: origin) }
    var origin = origin
    let traces = reports.map(\.traces)
    origin.hashes =
      traces[0].filter { $0.name != "candidate" }
      + zip(reports, traces).flatMap { report, traces in
        traces.filter { $0.name == "candidate" }.map { (report.candidate, $0.text) }
      }
    return VerifyPage.several(
      reports,
      title: "\(reports.count) candidates against \(Folder.name(of: reports[0].reference))",
      origin: origin, summary: summary)
  }
}

/// A report as one HTML page with plots. It needs no network and runs no script, reads in light and
/// dark, and its size is bounded whatever the number of tokens, layers and experts.
struct VerifyPage {
  let report: VerifyReport
  /// What the ids of sections begin with, where a page has several reports.
  var prefix = ""

  /// Positions of each head in the table.
  private static let worstPositions = 10
  /// Tokens shown before each of them.
  private static let contextTokens = 24
  /// Heads that are shown: real models have one MTP layer.
  private static let headLimit = 4
  /// Rows of differences between the configs, of notes and of the blame.
  private static let rowLimit = 200

  /// The page.
  func text(_ origin: PageOrigin) -> String {
    HTML.page(
      title: "\(Folder.name(of: report.candidate)) against \(Folder.name(of: report.reference))",
      command: "verify", origin: origin, sections: sections,
      body: "<style>\(VerifyPage.style)</style>\n" + verdict)
  }

  /// A page of several reports behind a table and a plot of what each costs and loses.
  static func several(
    _ reports: [VerifyReport], title: String, origin: PageOrigin,
    summary: (titles: [String], rows: [[String]])
  ) -> String {
    let table = HTML.table(summary.titles, summary.rows.map { HTML.cells($0) })
    let points = reports.compactMap { report -> ScatterPlot.Point? in
      guard let size = report.sizes.candidate else { return nil }
      let name = Folder.name(of: report.candidate).text
      let divergence = report.comparison.main.klMean
      return ScatterPlot.Point(
        name: name,
        title: "\(name): \(Quantity.bytes(size.bytes)), KL \(Quantity.significant(divergence))",
        x: Double(size.bytes), y: divergence)
    }
    let plot = ScatterPlot(points, axis: .decades(of: points.map(\.y))).svg(
      label: "KL divergence of \(points.count) candidates against their size",
      horizontal: "size of the weights",
      number: { $0 == 0 ? "0" : ByteSize(bytes: Int($0.rounded())).description })
    let parts = reports.enumerated().map { number, report in
      let page = VerifyPage(report: report, prefix: "c\(number)-")
      return HTML.Section(
        id: "c\(number)", title: report.candidate,
        content: page.verdict + HTML.markUp(page.sections))
    }
    return HTML.page(
      title: title, command: "verify", origin: origin, sections: parts,
      body: "<style>\(style)</style>\n\(table)\n<figure><figcaption>Mean KL divergence against "
        + "size.</figcaption>\(plot)</figure>\n")
  }

  /// What there is to say, in its order.
  private var sections: [HTML.Section] {
    [
      thresholds, logits, drafting, differences, divergencePlots, histograms, positions,
      colouredText, layerPlot, routerPlot, keyPlot, expertMaps, blame, errorAgainstBytes, typeMap,
    ].compactMap(\.self)
  }

  private static let style = """
    .verdict { display: inline-block; padding: .15rem .7rem; border-radius: 4px; font-weight: 600;
      color: var(--back); background: var(--good); } .verdict.bad { background: var(--bad); }
    .verdict.plain { color: inherit; background: none; padding-left: 0; }
    td.good { color: var(--good); } td.bad { color: var(--bad); font-weight: 600; }
    p, figcaption, .legend { max-width: 52rem; } figcaption, .legend { color: var(--faint); }
    figure { margin: .6rem 0; } code { overflow-wrap: anywhere; }
    td.wrap { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
    @media print { .numbers { font-size: 11px; } .bar { min-width: 3rem; }
      td.wrap { min-width: 6rem; } }
    .context { color: var(--faint); }
    mark { background: var(--series-1); color: #15181c; white-space: pre-wrap; }
    svg text { fill: var(--faint); font-size: 12px; } .end { text-anchor: end; }
    .middle { text-anchor: middle; } .grid { stroke: var(--line); } .axis { stroke: var(--faint); }
    .boundary { stroke: var(--faint); stroke-dasharray: 2 4; }
    .limit { stroke: var(--bad); stroke-dasharray: 6 4; stroke-width: 1.5; }
    .mean { stroke: var(--text); stroke-dasharray: 1 3; } .hit { fill: transparent; }
    g:hover > .hit { fill: var(--line); } g:hover > .empty { fill: var(--line); }
    g:hover > .limit, g:hover > .mean { stroke-width: 3; } rect.bad { fill: var(--bad); }
    .empty { fill: var(--panel); } .use { fill: var(--series-0); } .error { fill: var(--series-4); }
    \(textStyle)
    .key.hatch { border: 1px dashed var(--bad); }
    .total { fill: var(--series-0); fill-opacity: .45; }
    .own { fill: var(--series-1); } .agree { fill: var(--series-0); }
    \((1...HeatMap.levels).map { ".h\($0) { fill-opacity: \(opacity($0)); }" }
      .joined(separator: " "))
    """

  private static func opacity(_ level: Int) -> String {
    Quantity.fixed(0.16 + 0.84 * Double(level - 1) / Double(HeatMap.levels - 1), digits: 2)
  }

  /// The heads that are shown.
  var heads: [(name: String, metrics: LogitsMetrics)] {
    Array(report.heads.prefix(VerifyPage.headLimit))
  }

  /// A heading, a sentence and what it is about.
  func section(
    _ id: String, _ title: String, _ sentence: String, _ content: String
  ) -> HTML.Section {
    let intro = sentence.isEmpty ? "" : "<p>\(HTML.escape(sentence))</p>\n"
    return HTML.Section(id: prefix + id, title: title, content: intro + content)
  }

  /// A cell, to the right where it begins with a number.
  private func cell(_ text: String, _ style: String? = nil) -> String {
    let isNumber = text.unicodeScalars.first.map { ("0"..."9").contains($0) || $0 == "-" } ?? false
    return HTML.cell(
      text, isNumber ? ["right", style].compactMap(\.self).joined(separator: " ") : style)
  }
}

// MARK: - Tables

extension VerifyPage {
  private var verdict: String {
    let styles: [VerifyReport.Verdict: String] = [.fail: " bad", .measured: " plain"]
    let facts =
      [
        ("reference", report.reference), ("candidate", report.candidate),
        (
          "tokens",
          "\(Quantity.count(report.sequences.reduce(0) { $0 + $1.count })) in "
            + Quantity.plural(report.sequences.count, "sequence")
        ),
      ] + report.sizeFacts
    let notes = report.notes.prefix(VerifyPage.rowLimit).map { "<li>\(HTML.escape($0))</li>" }
    return """
      <p><span class="verdict\(styles[report.verdict] ?? "")">\(report.verdict.rawValue)</span> \
      \(report.limitsText)</p>
      <table class="facts">\(facts.map {
        "<tr><th scope=\"row\">\($0)</th><td class=\"wrap\">\(HTML.escape($1))</td></tr>"
      }.joined())</table>
      <ul>\(notes.joined())</ul>

      """
  }

  private var thresholds: HTML.Section? {
    var rows = report.outcomes.map { outcome in
      [
        cell(outcome.name), cell(outcome.isLeast ? "at least" : "at most"),
        cell(Quantity.significant(outcome.limit)), cell(Quantity.significant(outcome.value)),
        cell(outcome.holds ? "holds" : "fails", outcome.holds ? "good" : "bad"),
      ]
    }
    for head in report.heads where head.metrics.nonFinite > 0 {
      rows.append([
        cell("every logit of \(head.name) is finite"), cell("at most"), cell("0"),
        cell(Quantity.count(head.metrics.nonFinite)), cell("fails", "bad"),
      ])
    }
    guard !rows.isEmpty else { return nil }
    return section(
      "thresholds", "Thresholds", "", HTML.table(["limit", "", "", "measured", ""], rows))
  }

  private var logits: HTML.Section? {
    section(
      "logits", "Logits", "",
      HTML.table(
        ["measure"] + heads.map(\.name),
        report.measures.map { row in
          [cell(row.title)] + heads.map { cell(row.value($0.metrics)) }
        }, wraps: true))
  }

  private var drafting: HTML.Section? {
    guard !report.drafts.isEmpty else { return nil }
    return section(
      "drafts", "Drafts",
      "How often an MTP layer's first choice is the main model's: what speculative decoding keeps.",
      HTML.table(
        ["MTP layer", "candidate", "reference", "positions"],
        report.drafts.enumerated().map { index, draft in
          [
            cell("\(index + 1)"), cell(Quantity.attained(draft.candidate)),
            cell(Quantity.attained(draft.reference)), cell(Quantity.count(draft.positions)),
          ]
        }))
  }

  private var differences: HTML.Section? {
    guard !report.configDifferences.isEmpty else { return nil }
    return section(
      "config", "Config",
      "Keys that change what the network computes and that the models have differently.",
      HTML.table(
        ["key", "reference", "candidate"],
        report.configDifferences.prefix(VerifyPage.rowLimit).map {
          [HTML.cell($0.name), cell($0.reference), cell($0.candidate)]
        }))
  }

  private var positions: HTML.Section? {
    let rows = report.worstPositions(VerifyPage.worstPositions, heads: VerifyPage.headLimit)
      .filter { $0.measures.divergence != 0 }.map { worst in
        [
          cell(worst.head), cell(place(sequence: worst.sequence, position: worst.position)),
          cell(Quantity.significant(worst.measures.divergence)),
          "<td class=\"wrap\">\(context(worst))</td>", HTML.cell(word(worst.next)),
          HTML.cell(word(worst.measures.topReference)),
          HTML.cell(word(worst.measures.topCandidate)),
        ]
      }
    return section(
      "worst", "Worst positions",
      rows.isEmpty
        ? "No position differs."
        : "Those with the largest KL divergence. The marked token is the last that the logits have "
          + "seen; next is the one that follows in the text.",
      rows.isEmpty
        ? ""
        : HTML.table(
          ["logits", "position", "KL", "tokens", "next", "top of reference", "of candidate"], rows))
  }

  private func place(sequence: Int, position: Int) -> String {
    report.sequences.count > 1 ? "\(sequence):\(position)" : "\(position)"
  }

  /// A token as its text, or as its id where there is no tokenizer.
  func word(_ token: Int?) -> String {
    guard let token else { return "–" }
    guard let text = report.tokenText?([token]) else { return "\(token)" }
    let spaced = ExactText(text).replacing(" ", with: "␣").text
    return "\(VerifyPage.shown(spaced, limit: 24)) (\(token))"
  }

  /// The tokens up to a position, the last one marked.
  private func context(_ worst: VerifyReport.WorstPosition) -> String {
    let ids = report.sequences[worst.sequence][...worst.position].suffix(VerifyPage.contextTokens)
    let before = Array(ids.dropLast())
    let (text, last) = (report.tokenText?(before), report.tokenText?([worst.token]))
    let start = text ?? before.suffix(8).map { "\($0)" }.joined(separator: " ")
    // The end of the text is what counts; it may begin within a character.
    let tail = VerifyPage.shown(
      String(start.suffix(120).drop { $0 == "\u{FFFD}" }), limit: 120)
    let word = last.map { VerifyPage.shown($0, limit: 40) } ?? "\(worst.token)"
    return "<span class=\"context\">\(HTML.escape(tail))\(text == nil ? " " : "")</span>"
      + "<mark>\(HTML.escape(word))</mark>"
  }

  /// A text in one line, with what would not show made visible.
  private static func shown(_ text: String, limit: Int) -> String {
    var result = ""
    for character in text.unicodeScalars.prefix(limit) {
      switch character {
      case "\n": result += "⏎"
      case "\t": result += "⇥"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }

  private var blame: HTML.Section? {
    guard let blame = report.blame else { return nil }
    let losses = blame.map(\.klMean)
    let largest = losses.filter(\.isFinite).max() ?? 0
    let decades = ValueAxis.decades(of: losses)
    let rows = blame.prefix(VerifyPage.rowLimit).map { entry in
      let share = entry.klMean.isFinite ? (largest > 0 ? entry.klMean / largest : 0) : 1
      let bar =
        "<td class=\"bar\" style=\"width:20%\"><svg viewBox=\"0 0 100 10\" "
        + "preserveAspectRatio=\"none\" style=\"height:12px\" aria-hidden=\"true\">"
        + SVG.rect("own lin", 0, 0, 100 * share, 10)
        + SVG.rect("own log", 0, 0, 100 * decades.height(of: entry.klMean), 10) + "</svg></td>"
      let name = entry.name + (entry.hint.map { " – \($0)" } ?? "")
      return [
        "<td class=\"wrap\">\(HTML.breakable(name))</td>", cell(entry.kind.rawValue),
        cell(entry.bytes.map(Quantity.bytes) ?? "–"), cell(Quantity.significant(entry.klMean)), bar,
        cell(Quantity.significant(entry.logitsNmse)),
        cell(entry.weightNmse.map(Quantity.significant) ?? "–"),
      ]
    }
    return section(
      "blame", "Blame",
      rows.isEmpty
        ? "No tensor and no key of the config differs."
        : "What the reference becomes with one part of the candidate in it.",
      rows.isEmpty
        ? ""
        : ScaleSwitch.markUp(
          id: "\(prefix)blame-scale",
          note: "An empty bar is \(Quantity.significant(decades.range.low)) or less.")
          + HTML.table(
            ["part", "kind", "bytes", "mean KL", "", "logits NMSE", "weights NMSE"], rows))
  }
}
