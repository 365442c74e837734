internal import Platform
internal import Reports
internal import Verification

/// How the divergences of positions are spread, and where in the text they are.
extension VerifyPage {
  /// Tokens that are shown in colour, of all sequences.
  private static let textLimit = 2000
  /// Bars for each power of ten.
  private static let barsPerDecade = 4
  /// Shades of a token; the lightest has next to no divergence.
  static let shades = 6
  /// Divergence that is shaded at all, and that of the darkest shade, in nats.
  private static let shaded = (least: 1e-3, most: 1.0)

  /// How many positions have which divergence, a plot for each head.
  var histograms: HTML.Section? {
    let plots = heads.compactMap { head -> String? in
      guard let plot = histogram(head) else { return nil }
      let id = "\(prefix)histogram-\(head.name)"
      return "<figure id=\"\(id)\">\n<h3>\(head.name)</h3>\n"
        + "\(ScaleSwitch.markUp(id: id + "-scale"))\(plot)</figure>"
    }
    guard !plots.isEmpty else { return nil }
    return section(
      "histogram", "How the divergence is spread",
      "Positions by their KL divergence in nats. Few bad positions and many slightly worse ones have "
        + "the same mean, and are not the same model.", plots.joined(separator: "\n"))
  }

  private func histogram(_ head: (name: String, metrics: LogitsMetrics)) -> String? {
    let values = head.metrics.positions.map(\.divergence).filter { $0 > 0 && $0.isFinite }
    guard let least = values.min(), let most = values.max() else { return nil }
    func bar(_ value: Double) -> Int {
      Int(
        (Double(VerifyPage.barsPerDecade) * Mathematics.log(value) / Mathematics.log(10))
          .rounded(.down))
    }
    func start(_ bar: Int) -> Double {
      Mathematics.pow(10, Double(bar) / Double(VerifyPage.barsPerDecade))
    }
    // Eight powers of ten are shown: what is smaller counts as the smallest.
    let (last, first) = (bar(most), max(bar(least), bar(most) - 8 * VerifyPage.barsPerDecade))
    var counts = [Int](repeating: 0, count: last - first + 1)
    for value in values { counts[max(0, bar(value) - first)] += 1 }
    let tallest = counts.max() ?? 1
    var plot = Plot(
      places: counts.count, axis: .counts(upTo: tallest), switched: .countDecades(upTo: tallest))
    for (place, count) in counts.enumerated() where count > 0 {
      let range =
        "\(Quantity.significant(start(first + place))) to "
        + Quantity.significant(start(first + place + 1))
      plot.add(
        column: place, [Plot.Bar(value: Double(count), style: "s0")],
        title: "\(Quantity.plural(count, "position")) with a KL divergence of \(range)")
    }
    let none = head.metrics.positions.count { $0.divergence == 0 }
    let percentiles = head.metrics.statistics.klPercentiles.map {
      $0.name == "max"
        ? "the largest \(Quantity.significant($0.value))"
        : "\($0.name) % below \(Quantity.significant($0.value))"
    }
    let caption =
      percentiles
      + (none > 0 ? ["\(Quantity.plural(none, "position")) without any"] : [])
    return plot.svg(
      label: "\(values.count) positions by their KL divergence", places: "KL divergence from, nats",
      name: { Quantity.significant(start(first + $0)) })
      + "<figcaption>\(HTML.escape(caption.joined(separator: "; "))).</figcaption>"
  }

  /// The text, each token in the colour of the divergence with which it was expected.
  var colouredText: HTML.Section? {
    let positions = report.comparison.main.positions
    guard !positions.isEmpty else { return nil }
    var (parts, shown, place) = ([String](), 0, 0)
    for (number, tokens) in report.sequences.enumerated() {
      guard shown < VerifyPage.textLimit else { break }
      var line = ""
      for (index, token) in tokens.prefix(VerifyPage.textLimit - shown).enumerated() {
        // The first one was expected by nobody.
        let measure = index == 0 ? nil : positions[place + index - 1]
        line += span(token, measure, at: index)
      }
      shown += tokens.count
      place += tokens.count
      let name = report.sequences.count > 1 ? "<h3>Sequence \(number)</h3>" : ""
      parts.append("\(name)<p class=\"tokens\">\(line)</p>")
    }
    let all = report.sequences.reduce(0) { $0 + $1.count }
    let rest =
      all > VerifyPage.textLimit
      ? " The first \(Quantity.count(VerifyPage.textLimit)) of \(Quantity.count(all)) tokens." : ""
    return section(
      "text", "The text",
      "A token is the darker, the farther the candidate's distribution before it was from the "
        + "reference's." + rest, parts.joined(separator: "\n"))
  }

  private func span(_ token: Int, _ measure: LogitsMetrics.Position?, at index: Int) -> String {
    let word = report.tokenText?([token]) ?? "\(token) "
    let text = HTML.escape(ExactText(word).replacing("\n", with: "⏎").text)
    // Each stands by itself: two tokens may make up a mark that CI servers know for a command.
    let shade = measure.map { VerifyPage.shade($0.divergence) } ?? 0
    guard let measure, shade > 0 else { return "<span>\(text)</span>" }
    let title = HTML.escape("\(index): KL \(Quantity.significant(measure.divergence))")
    return "<span class=\"t\(shade)\" title=\"\(title)\">\(text)</span>"
  }

  /// The shade of a divergence, 0 for none.
  private static func shade(_ value: Double) -> Int {
    guard !value.isNaN else { return shades }
    guard value >= shaded.least else { return 0 }
    let share =
      Mathematics.log(min(value, shaded.most) / shaded.least)
      / Mathematics.log(shaded.most / shaded.least)
    return 1 + min(shades - 1, Int(share * Double(shades)))
  }

  /// The style of the shades.
  static let textStyle = """
    .tokens { white-space: pre-wrap; overflow-wrap: anywhere; }
    \((1...shades).map { number in
      let opacity = Quantity.fixed(0.8 * Double(number) / Double(shades), digits: 2)
      return ".t\(number) { background: rgb(217 130 43 / \(opacity)); }"
    }.joined(separator: " "))
    """
}
