internal import Platform
internal import Reports
internal import Verification

/// What groups of the candidate's tensors take in its files, against what they add to the error.
extension VerifyPage {
  /// Layers at most, those with the largest errors.
  private static let layerLimit = 128
  /// Characters of a name in the plot.
  private static let nameLimit = 18

  /// Layers by their own error, parts by their blame, as far as either was measured.
  var errorAgainstBytes: HTML.Section? {
    let layers = report.comparison.layers.compactMap {
      layer -> (index: Int, bytes: Int, error: Double)? in
      guard let own = layer.own, let bytes = report.layerBytes[layer.index] else { return nil }
      return (layer.index, bytes, own.nmse)
    }
    let parts = (report.blame ?? []).compactMap { part in
      part.bytes.map { (name: part.name, bytes: $0, error: part.klMean) }
    }
    var figures: [String] = []
    if !layers.isEmpty {
      let shown = layers.sorted { $0.error.badness > $1.error.badness }
        .prefix(VerifyPage.layerLimit).sorted { $0.index < $1.index }
      figures.append(
        figure(
          "bytes-layers", "Layers",
          "NMSE of each layer by itself, fed with the reference's hidden states (--isolate)."
            + (shown.count < layers.count
              ? " The \(shown.count) with the largest of \(layers.count)." : ""),
          shown.map { ("\($0.index)", "layer \($0.index)", $0.bytes, $0.error) },
          measure: "own NMSE")
          + layerRows(shown, of: layers))
    }
    if !parts.isEmpty {
      figures.append(
        figure(
          "bytes-parts", "Parts",
          "Mean KL divergence of the reference with one part of the candidate in it (--blame); the "
            + "table of the blame has the numbers.",
          parts.map { (VerifyPage.part($0.name), $0.name, $0.bytes, $0.error) }, measure: "mean KL")
      )
    }
    let missing = [
      (
        layers.isEmpty,
        "What each layer adds is measured against the reference itself, with --isolate."
      ),
      (report.blame == nil, "What single tensors and experts add is measured with --blame."),
    ]
    let legends = missing.filter(\.0).map { "<p class=\"legend\">\($0.1)</p>" }
    return section(
      "bytes", "Error against bytes",
      "What groups of tensors take in the candidate's files, scales included, against the error that "
        + "they add: what lies high and to the left gains most from more bits.",
      (figures + legends).joined(separator: "\n"))
  }

  private func figure(
    _ id: String, _ title: String, _ source: String,
    _ groups: [(name: String, full: String, bytes: Int, error: Double)], measure: String
  ) -> String {
    let points = groups.map { group in
      ScatterPlot.Point(
        name: group.name,
        title: "\(group.full): \(Quantity.bytes(group.bytes)), \(measure) "
          + Quantity.significant(group.error),
        x: Double(group.bytes), y: group.error)
    }
    let plot = ScatterPlot(
      points, axis: .decades(of: points.map(\.y)), across: .decades(of: points.map(\.x))
    ).svg(
      label: "\(measure) of \(groups.count) groups of tensors against their bytes",
      horizontal: "bytes in the candidate",
      number: { ByteSize(bytes: Int($0.rounded())).description })
    return "<figure id=\"\(prefix)\(id)\">\n<h3>\(title)</h3>\n<p class=\"legend\">\(source) "
      + "Both scales are logarithmic.</p>\n\(plot)</figure>"
  }

  private func layerRows(
    _ shown: [(index: Int, bytes: Int, error: Double)],
    of layers: [(index: Int, bytes: Int, error: Double)]
  ) -> String {
    let all = max(1, layers.reduce(0) { $0 + $1.bytes })
    let sum = layers.reduce(0) { $0 + $1.error }
    let rows = shown.map { layer in
      HTML.cells([
        "\(layer.index)", Quantity.bytes(layer.bytes),
        Quantity.percent(Double(layer.bytes) / Double(all)), Quantity.significant(layer.error),
        Quantity.percent(layer.error / sum),
      ])
    }
    return "<details><summary>The numbers of \(Quantity.plural(shown.count, "layer"))</summary>"
      + HTML.table(["layer", "bytes", "of all layers", "own NMSE", "of their sum"], rows)
      + "</details>"
  }

  /// A part's name without what all have in common, cut.
  private static func part(_ name: String) -> String {
    var text = name[...]
    if text.hasPrefix("model.layers.") { text = text.dropFirst("model.layers.".count) }
    if text.hasSuffix(".weight") { text = text.dropLast(".weight".count) }
    let words = text.split(separator: ".").filter { $0 != "self_attn" && $0 != "mlp" }
    let short = words.joined(separator: ".")
    return short.count > nameLimit ? short.prefix(nameLimit - 1) + "…" : short
  }
}
