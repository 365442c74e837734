package import Platform

/// What made a page, so that it can be traced.
package struct PageOrigin: Sendable {
  let command: [String]
  let startedAt: String
  /// What the page is about, each with its hash.
  package var hashes: [(name: String, text: String)] = []

  /// Takes the arguments of the command and when it began.
  package init(_ arguments: [String], _ clock: Stopwatch) {
    command = Array(arguments.dropFirst())
    startedAt = clock.startedAt
  }

  fileprivate var lines: String {
    let words = (["fathom"] + command).map { HTML.escape($0) }.joined(separator: " ")
    let rows = hashes.map { "<br/>\(HTML.escape($0.name)): \(HTML.escape($0.text))" }
    return "<p class=\"origin\">fathom \(FathomVersion.text), \(startedAt) UTC: "
      + "<code>\(words)</code>\(rows.joined())</p>"
  }
}

/// What the pages of all commands have in common.
package enum HTML {
  /// Colours that `style` defines as `--series-0` and on; the last is for what has none of its own.
  package static let seriesCount = 8

  /// A part of a page that its contents name.
  package struct Section {
    let id: String
    let title: String
    let content: String

    /// Takes its markup; `id` is what links to it name.
    package init(id: String, title: String, content: String) {
      (self.id, self.title, self.content) = (id, title, content)
    }
  }

  /// A whole page, well-formed as XML too. It loads nothing and runs nothing, and tells the browser
  /// to hold it to that.
  ///
  /// - Parameters:
  ///   - title: what the page is about, as plain text.
  ///   - command: the command that made it.
  ///   - origin: what made it.
  ///   - sections: what stands below each other, with links to them above.
  ///   - body: HTML before the sections.
  package static func page(
    title: String, command: String, origin: PageOrigin, sections: [Section], body: String
  ) -> String {
    let links = sections.map { "<a href=\"#\($0.id)\">\(escape($0.title))</a>" }
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8"/>
      <meta name="viewport" content="width=device-width, initial-scale=1"/>
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src \
      'unsafe-inline'"/>
      <title>\(escape(title)) – fathom \(command)</title>
      <style>\(style)</style>
      </head>
      <body>
      <main>
      <h1>\(escape(title))</h1>
      \(origin.lines)
      <nav>\(links.joined(separator: " &#160; "))</nav>
      \(body)
      \(markUp(sections))
      </main>
      </body>
      </html>

      """
  }

  private static let style = """
    :root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --faint: #5c6570;
      --line: #d8dce2; --panel: #f5f6f8; --good: #1f7a4d; --bad: #c02f2c;
      --series-0: #2f6fb3; --series-1: #d9822b; --series-2: #2e9b6b; --series-3: #a45bb5;
      --series-4: #c0504d; --series-5: #2a9aa8; --series-6: #9a7d2e; --series-7: #8a929c; }
    @media screen and (prefers-color-scheme: dark) { :root { --back: #15181c; --text: #e4e7eb;
      --faint: #9aa3ad; --line: #343a42; --panel: #1d2126; --good: #5cc498; --bad: #f08683;
      --series-0: #6aa7e6; --series-1: #f0a75a; --series-2: #5cc498; --series-3: #c88ad6;
      --series-4: #e58381; --series-5: #5fc6d3; --series-6: #cdb25f; --series-7: #8d96a0; } }
    body { background: var(--back); color: var(--text); max-width: 60rem; margin: 2rem auto;
      padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif; }
    h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
    h3 { font-size: 1rem; font-weight: 600; margin: 1.2rem 0 .3rem; }
    table { border-collapse: collapse; width: 100%; }
    th, td { text-align: left; padding: .2rem .6rem .2rem 0; vertical-align: top; }
    th { color: var(--faint); font-weight: 500; }
    .facts th { width: 9rem; }
    .numbers td, .numbers th { border-bottom: 1px solid var(--line); white-space: nowrap;
      font-variant-numeric: tabular-nums; }
    .numbers td.right, .numbers th.right { text-align: right; }
    .decimals { display: inline-block; text-align: left; }
    .scroll { overflow-x: auto; } .scroll > svg { min-width: 44rem; }
    .scroll td:first-child, .scroll th:first-child { position: sticky; left: 0;
      background: var(--back); }
    .origin { color: var(--faint); overflow-wrap: anywhere; } nav { margin: .6rem 0; }
    a { color: var(--series-0); } summary { cursor: pointer; padding: .2rem 0; }
    @media (max-width: 40rem) { .wraps td { white-space: normal; } }
    @media print { :root { color-scheme: light; } * { print-color-adjust: exact; }
      .scroll { overflow: visible; } .scroll > svg { min-width: 0; } nav { display: none; }
      .numbers td, .numbers th { white-space: normal; } h2, h3 { break-after: avoid; }
      figure, tr { break-inside: avoid; } }
    .bar { width: 45%; min-width: 8rem; } svg { display: block; width: 100%; }
    .key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; }
    \(ScaleSwitch.style)
    \((0..<seriesCount).map { ".s\($0) { fill: var(--series-\($0)); }" }.joined(separator: " "))
    """

  /// Sections below each other.
  package static func markUp(_ sections: [Section]) -> String {
    sections.map {
      "<section id=\"\($0.id)\">\n<h2>\(escape($0.title))</h2>\n\($0.content)\n</section>"
    }.joined(separator: "\n")
  }

  /// The text with everything escaped that could end a text or an attribute, in XML as well.
  package static func escape(_ text: String) -> String { markUp(text.printable) }

  /// The same, with lines that may end behind the points and underscores of names.
  package static func breakable(_ text: String) -> String {
    var result = ""
    for character in escape(text).unicodeScalars {
      result.unicodeScalars.append(character)
      if character == "." || character == "_" { result += "<wbr/>" }
    }
    return result
  }

  /// A text that is printable, escaped so, in several lines maybe.
  package static func markUp(_ text: OutputText) -> String {
    var result = ""
    for character in text.text.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }

  /// A cell of plain text.
  ///
  /// - Parameter style: classes of the page's style, `right` for numbers.
  package static func cell(_ text: String, _ style: String? = nil) -> String {
    "<td\(style.map { " class=\"\($0)\"" } ?? "")>\(escape(text))</td>"
  }

  /// Cells of a row, of plain text: names first, then numbers, which stand to the right.
  package static func cells(_ texts: [String], names: Int = 1) -> [String] {
    texts.enumerated().map { cell($1, $0 < names ? nil : "right") }
  }

  /// A table that scrolls inside itself where a window is narrow, its first column staying.
  ///
  /// - Parameters:
  ///   - titles: of the columns, which stand as the cells of the first row do.
  ///   - rows: markup of each cell.
  ///   - wraps: whether cells are broken where a window is narrow, so that all columns are seen.
  package static func table(
    _ titles: [String], _ rows: [[String]], wraps: Bool = false
  ) -> String {
    let heads = zip(titles, rows.first ?? titles).map { title, cell in
      let style = cell.hasPrefix("<td class=\"right") ? " class=\"right\"" : ""
      return "<th\(style)>\(escape(title))</th>"
    }
    let style = wraps ? "numbers wraps" : "numbers"
    let rows = DecimalColumns.aligned(rows)
    return "<div class=\"scroll\"><table class=\"\(style)\">\n<thead><tr>" + heads.joined()
      + "</tr></thead>\n<tbody>\n" + rows.map { "<tr>\($0.joined())</tr>\n" }.joined()
      + "</tbody></table></div>"
  }

  /// A bar of parts beside each other: the share of the whole, the series and what it says.
  package static func bar(
    _ parts: [(share: Double, series: Int, title: String)], height: Int
  ) -> String {
    var x = 0.0
    var pieces = ""
    for part in parts {
      let width = 1000 * part.share
      pieces +=
        "<rect x=\"\(Quantity.fixed(x, digits: 2))\" width=\"\(Quantity.fixed(width, digits: 2))\" "
        + "height=\"\(height)\" class=\"s\(part.series)\">"
        + "<title>\(escape(part.title))</title></rect>"
      x += width
    }
    return "<svg viewBox=\"0 0 1000 \(height)\" preserveAspectRatio=\"none\" role=\"img\" "
      + "style=\"height:\(height)px\">\(pieces)</svg>"
  }

  /// A line of a legend: a colour and what it stands for.
  package static func key(_ series: Int, _ text: String) -> String {
    "<span class=\"key\" style=\"background:var(--series-\(series))\"></span> \(escape(text))"
  }

  /// Each of some types' colour, an index of a series, by their order.
  package static func series<Key: Hashable>(_ keys: [Key]) -> [Key: Int] {
    Dictionary(
      uniqueKeysWithValues: keys.enumerated().map { ($1, min($0, seriesCount - 1)) })
  }
}
