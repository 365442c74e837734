internal import Platform
internal import Tensors

extension Inspection {
  /// The inspection as one HTML page that needs no network: the summary, bytes by type, and the
  /// layers as bars, readable in light and dark.
  ///
  /// - Parameter title: what the user called the checkpoint.
  public func page(title: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(HTML.escape(title)) – fathom inspect</title>
    <style>\(HTML.style)</style>
    </head>
    <body>
    <h1>\(HTML.escape(title))</h1>
    <table class="facts">\(facts)</table>
    <h2>Storage</h2>
    <p>\(legend)</p>
    \(bar(types, of: total.bytes, height: 22))
    <table class="numbers">\(typeRows)</table>
    <h2>Layers</h2>
    <table class="numbers">\(layerRows)</table>
    </body>
    </html>

    """
  }

  private var facts: String {
    summaryFacts.map { "<tr><th>\(HTML.escape($0))</th><td>\(HTML.escape($1))</td></tr>" }
      .joined(separator: "\n")
  }

  /// Each type's colour, by the order of the bytes that it takes.
  private var colours: [ElementType: String] {
    Dictionary(
      uniqueKeysWithValues: Inspection.sorted(types).enumerated().map {
        ($1.type, "var(--series-\(min($0, HTML.seriesCount - 1)))")
      })
  }

  private var legend: String {
    Inspection.sorted(types).map {
      "<span class=\"key\" style=\"background:\(colours[$0.type] ?? "")\"></span> "
        + $0.type.rawValue
    }.joined(separator: " &nbsp; ")
  }

  /// A stacked bar; `whole` bytes take its full width.
  private func bar(_ parts: [ElementType: Tally], of whole: Int, height: Int) -> String {
    var x = 0.0
    var pieces = ""
    for (type, tally) in Inspection.sorted(parts) {
      let width = 1000 * Double(tally.bytes) / Double(max(whole, 1))
      pieces +=
        "<rect x=\"\(Quantity.fixed(x, digits: 2))\" width=\"\(Quantity.fixed(width, digits: 2))\" "
        + "height=\"\(height)\" fill=\"\(colours[type] ?? "")\">"
        + "<title>\(type.rawValue): \(Quantity.bytes(tally.bytes))</title></rect>"
      x += width
    }
    return "<svg viewBox=\"0 0 1000 \(height)\" preserveAspectRatio=\"none\" role=\"img\" "
      + "style=\"height:\(height)px\">\(pieces)</svg>"
  }

  private var typeRows: String {
    HTML.row(["type", "tensors", "elements", "bytes"], cell: "th")
      + Inspection.sorted(types).map {
        HTML.row([
          $0.type.rawValue, Quantity.count($0.tally.tensors), Quantity.count($0.tally.elements),
          Quantity.bytes($0.tally.bytes),
        ])
      }.joined()
  }

  private var layerRows: String {
    let widest = layers.map(\.bytes).max() ?? 0
    return HTML.row(["layer", "kind", "parameters", "active", "bytes", ""], cell: "th")
      + layers.map { layer in
        let cells = [
          String(layer.index), layer.kind.rawValue, Quantity.short(layer.parameters),
          Quantity.short(layer.activePerToken), Quantity.bytes(layer.bytes),
        ]
        return "<tr>" + cells.map { "<td>\(HTML.escape($0))</td>" }.joined()
          + "<td class=\"bar\">\(bar(layer.types, of: widest, height: 12))</td></tr>\n"
      }.joined()
  }
}

/// What the pages have in common.
enum HTML {
  /// Colours that `style` defines as `--series-0` and on.
  static let seriesCount = 6

  static let style = """
    :root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --faint: #667; --line: #d8dce2;
      --series-0: #2f6fb3; --series-1: #d9822b; --series-2: #2e9b6b; --series-3: #a45bb5;
      --series-4: #c0504d; --series-5: #7f8893; }
    @media (prefers-color-scheme: dark) { :root { --back: #15181c; --text: #e4e7eb; --faint: #99a;
      --line: #343a42; --series-0: #6aa7e6; --series-1: #f0a75a; --series-2: #5cc498;
      --series-3: #c88ad6; --series-4: #e58381; --series-5: #a5adb8; } }
    body { background: var(--back); color: var(--text); max-width: 60rem; margin: 2rem auto;
      padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif; }
    h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
    table { border-collapse: collapse; width: 100%; }
    th, td { text-align: left; padding: .2rem .6rem .2rem 0; vertical-align: top; }
    th { color: var(--faint); font-weight: 500; }
    .facts th { width: 9rem; }
    .numbers td, .numbers th { border-bottom: 1px solid var(--line); white-space: nowrap;
      font-variant-numeric: tabular-nums; }
    .bar { width: 45%; } svg { display: block; width: 100%; }
    .key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; }
    """

  /// The text with everything escaped that could end a text or an attribute.
  static func escape(_ text: String) -> String {
    var result = ""
    for character in text.printable {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.append(character)
      }
    }
    return result
  }

  static func row(_ cells: [String], cell: String = "td") -> String {
    "<tr>" + cells.map { "<\(cell)>\(escape($0))</\(cell)>" }.joined() + "</tr>\n"
  }
}
