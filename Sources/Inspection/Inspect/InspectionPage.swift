internal import Platform
internal import Reports
internal import Tensors

extension Inspection {
  /// The inspection as one HTML page that needs no network: the summary, bytes by type, and the
  /// layers as bars, readable in light and dark.
  ///
  /// - Parameter title: what the user called the checkpoint.
  public func page(title: String) -> String {
    HTML.page(
      title: title, command: "inspect",
      body: """
        <table class="facts">\(facts)</table>
        <h2>Storage</h2>
        <p>\(legend)</p>
        \(bar(types, of: total.bytes, height: 22))
        <table class="numbers">\(typeRows)</table>
        <h2>Layers</h2>
        <table class="numbers">\(layerRows)</table>
        """)
  }

  private var facts: String {
    summaryFacts.map { "<tr><th>\(HTML.escape($0))</th><td>\(HTML.escape($1))</td></tr>" }
      .joined(separator: "\n")
  }

  /// Each type's colour, by the order of the bytes that it takes.
  private var colours: [ElementType: Int] {
    HTML.series(Inspection.sorted(types).map(\.type))
  }

  private var legend: String {
    Inspection.sorted(types).map {
      HTML.key(colours[$0.type] ?? 0, $0.type.rawValue)
    }.joined(separator: " &#160; ")
  }

  /// A stacked bar; `whole` bytes take its full width.
  private func bar(_ parts: [ElementType: Tally], of whole: Int, height: Int) -> String {
    var x = 0.0
    var pieces = ""
    for (type, tally) in Inspection.sorted(parts) {
      let width = 1000 * Double(tally.bytes) / Double(max(whole, 1))
      pieces +=
        "<rect x=\"\(Quantity.fixed(x, digits: 2))\" width=\"\(Quantity.fixed(width, digits: 2))\" "
        + "height=\"\(height)\" class=\"s\(colours[type] ?? 0)\">"
        + "<title>\(type.rawValue): \(Quantity.bytes(tally.bytes))</title></rect>"
      x += width
    }
    return "<svg viewBox=\"0 0 1000 \(height)\" preserveAspectRatio=\"none\" role=\"img\" "
      + "style=\"height:\(height)px\">\(pieces)</svg>"
  }

  private var typeRows: String {
    HTML.row(["type", "tensors", "elements", "bytes"], isHead: true)
      + Inspection.sorted(types).map {
        HTML.row([
          $0.type.rawValue, Quantity.count($0.tally.tensors), Quantity.count($0.tally.elements),
          Quantity.bytes($0.tally.bytes),
        ])
      }.joined()
  }

  private var layerRows: String {
    let widest = layers.map(\.bytes).max() ?? 0
    return HTML.row(["layer", "kind", "parameters", "active", "bytes", ""], isHead: true)
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
