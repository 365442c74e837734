package import Calibration
internal import Platform
package import Reports

extension MeasuredRecipe {
  /// The recipe as one HTML page: KL divergence against bits per weight, of the best choices of all
  /// sizes, the one that was made and the standard mixes, and what was measured for it.
  package func page(of model: String, origin: PageOrigin) -> String {
    let sections = [curve.map(section), groupsSection].compactMap(\.self)
    return HTML.page(
      title: "A recipe of \(Folder.name(of: model)) for \(target.rawValue)", command: "recipe",
      origin: origin, sections: sections,
      body: "<style>\(MeasuredRecipe.style)</style>\n<p>"
        + HTML.escape(
          "\(Quantity.bytes(bytes)), \(bits(bytes)); KL divergence measured on \(tokens) tokens: "
            + Quantity.significant(measured)) + "</p>")
  }

  private static let style = """
    .curve { stroke: var(--series-0); stroke-width: 1.5; fill: none; }
    .grid { stroke: var(--line); } .axis { stroke: var(--faint); }
    svg text { font-size: 12px; fill: var(--faint); } svg .end { text-anchor: end; }
    svg .middle { text-anchor: middle; } figure { margin: 1rem 0; }
    """

  private func bits(_ bytes: Int) -> String {
    "\(Quantity.fixed(bitsPerWeight(of: bytes), digits: 3)) bits per weight"
  }

  private func point(
    _ name: String, _ bytes: Int, _ divergence: Double, _ way: String, series: Int
  ) -> ScatterPlot.Point {
    ScatterPlot.Point(
      name: name,
      title: "\(name): \(bits(bytes)), KL \(way) \(Quantity.significant(divergence))",
      x: bitsPerWeight(of: bytes), y: divergence, series: series)
  }

  private func section(of curve: Curve) -> HTML.Section {
    let line = curve.frontier.map {
      point("best choice", $0.bytes, $0.divergence, "predicted", series: 0)
    }
    let points =
      [point("this recipe", bytes, measured, "measured", series: 2)]
      + curve.standards.map { point($0.name, $0.bytes, $0.divergence, "measured", series: 1) }
    let plot = ScatterPlot(
      points, curve: line, axis: .decades(of: (line + points).map(\.y)),
      across: .whole(around: (line + points).map(\.x))
    ).svg(
      label: "KL divergence of \(curve.standards.count) standard mixes and of the best choices "
        + "against bits per weight",
      horizontal: "bits per weight", number: { Quantity.fixed($0, digits: 0) })
    let legend = [
      (0, "best choice of each size: the sum of what its groups lose alone"),
      (1, "standard mixes, each measured as a whole"), (2, "this recipe, measured as a whole"),
    ]
    let rows = curve.standards.map { mix in
      HTML.cells([
        mix.name, Quantity.bytes(mix.bytes),
        Quantity.fixed(bitsPerWeight(of: mix.bytes), digits: 3),
        Quantity.significant(mix.divergence),
        mix.predictedOfBest.map { Quantity.significant($0) } ?? "–",
      ])
    }
    return HTML.Section(
      id: "curve", title: "KL divergence against bits per weight",
      content: "<p>Mean KL divergence from the model itself, in nats, on the text of the search. "
        + "Standard mixes are made with the same importance matrix, where there is one.</p>\n"
        + "<figure id=\"kl-size\">\(plot)<p class=\"legend\">"
        + legend.map { HTML.key($0, $1) }.joined(separator: " &#160; ") + "</p></figure>\n"
        + HTML.table(
          ["mix", "size", "bits per weight", "KL", "predicted of the best choice of its size"], rows
        ))
  }

  private var groupsSection: HTML.Section {
    let rows = groups.map { group in
      let option = group.options.first { $0.type == group.chosen }
      let bits = 8 * Double(option?.bytes ?? 0) / Double(max(1, group.parameters))
      return HTML.cells(
        [
          group.name, title(group.chosen), Quantity.count(group.parameters),
          Quantity.fixed(bits, digits: 2), Quantity.significant(option?.divergence ?? .nan),
        ], names: 2)
    }
    return HTML.Section(
      id: "groups", title: "Groups",
      content: HTML.table(["group", "type", "weights", "bits", "KL alone"], rows))
  }
}
