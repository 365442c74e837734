internal import Reports
internal import Verification

/// What is measured at each position and after each layer.
extension VerifyPage {
  /// Sequences whose borders are drawn at most.
  private static let boundaryLimit = 64

  /// KL divergence by position, a plot for each head.
  var divergencePlots: HTML.Section? {
    let plots = heads.enumerated().map { depth, head in
      let id = "\(prefix)kl-\(head.name)"
      return
        "<figure id=\"\(id)\">\n<h3>\(head.name)</h3>\n\(ScaleSwitch.markUp(id: id + "-scale"))"
        + "\(divergencePlot(depth, head))</figure>"
    }
    return section(
      "kl", "KL divergence by position",
      "How far the candidate's next token is from the reference's, in nats. The dotted line is the "
        + "mean, a dashed one its limit.", plots.joined(separator: "\n"))
  }

  private func divergencePlot(
    _ depth: Int, _ head: (name: String, metrics: LogitsMetrics)
  ) -> String {
    let values = head.metrics.positions.map(\.divergence)
    let limit = [head.name == "main" ? "max-kl" : "mtp-max-kl"]
    let bounds = limits(limit).map(\.limit)
    var plot = Plot(
      places: values.count, axis: .fromZero(to: values, limits: bounds),
      switched: .decades(of: values, limits: bounds))
    let starts = report.sequences.map { max(0, $0.count - depth) }.reduce(into: [0]) {
      $0.append($0[$0.count - 1] + $1)
    }
    if starts.count <= VerifyPage.boundaryLimit + 2 {
      for start in starts.dropFirst().dropLast() { plot.add(boundaryBefore: start) }
    }
    for (column, places) in plot.columns.enumerated() {
      let worst = places.max { values[$0].badness < values[$1].badness } ?? places.lowerBound
      plot.add(
        column: column, [Plot.Bar(value: values[worst], style: "s0")],
        title: title(worst, of: places, head, starts: starts, depth: depth))
    }
    plot.add(
      line: head.metrics.klMean, style: "mean",
      title: "mean: \(Quantity.significant(head.metrics.klMean))")
    addLimits(limit, to: &plot)
    return plot.svg(
      label: "KL divergence of \(values.count) positions, mean "
        + "\(Quantity.significant(head.metrics.klMean)), largest "
        + Quantity.significant(head.metrics.klMax),
      places: report.sequences.count > 1 ? "positions, sequence after sequence" : "position")
  }

  /// What the worst of a column's positions is.
  private func title(
    _ place: Int, of places: Range<Int>, _ head: (name: String, metrics: LogitsMetrics),
    starts: [Int], depth: Int
  ) -> String {
    let sequence = (starts.firstIndex { $0 > place } ?? 1) - 1
    let position = place - starts[sequence] + depth
    let measures = head.metrics.positions[place]
    let token = report.sequences[sequence][position]
    let other =
      measures.topReference == measures.topCandidate
      ? "both say \(word(measures.topReference))"
      : "\(word(measures.topReference)) became \(word(measures.topCandidate))"
    let many = places.count > 1 ? "worst of \(places.count): " : ""
    let inSequence = report.sequences.count > 1 ? "sequence \(sequence), " : ""
    return "\(many)\(inSequence)position \(position), after \(word(token)): KL "
      + "\(Quantity.significant(measures.divergence)), \(other)"
  }

  /// The first of the layers that predict further tokens.
  private var firstPredictor: Int {
    report.comparison.layers.count - report.comparison.mtp.count
  }

  private func name(ofLayer place: Int) -> String {
    let layer = report.comparison.layers[place].index
    return place >= firstPredictor ? "\(layer) MTP" : "\(layer)"
  }

  private func limits(_ names: [String]) -> [Threshold.Outcome] {
    report.outcomes.filter { names.contains($0.name) }
  }

  private func addLimits(_ names: [String], to plot: inout Plot) {
    for outcome in limits(names) {
      plot.add(
        line: outcome.limit, style: "limit",
        title: "\(outcome.name): \(Quantity.significant(outcome.limit))")
    }
  }

  /// Error of the hidden states after each layer, with the part that is the layer's own.
  var layerPlot: HTML.Section? {
    let layers = report.comparison.layers
    let isolated = layers.contains { $0.own != nil }
    let values = layers.flatMap { [$0.hiddenNmse] + ($0.own.map { [$0.nmse] } ?? []) }
    let names = ["max-layer-nmse", "max-layer-own-nmse"]
    let bounds = limits(names).map(\.limit)
    var plot = Plot(
      places: layers.count, axis: .fromZero(to: values, limits: bounds),
      switched: .decades(of: values, limits: bounds))
    for (column, places) in plot.columns.enumerated() {
      let worst = places.max {
        max(layers[$0].hiddenNmse.badness, layers[$0].own?.nmse.badness ?? 0)
          < max(layers[$1].hiddenNmse.badness, layers[$1].own?.nmse.badness ?? 0)
      }
      guard let worst else { continue }
      let layer = layers[worst]
      var bars = [Plot.Bar(value: layer.hiddenNmse, style: "total")]
      var title = "layer \(name(ofLayer: worst)): \(Quantity.significant(layer.hiddenNmse)) in all"
      if let own = layer.own {
        bars.append(Plot.Bar(value: own.nmse, style: "own", width: 0.5))
        title += ", \(Quantity.significant(own.nmse)) its own"
        if worst > 0, worst < firstPredictor {
          title += ", \(Quantity.significant(layers[worst - 1].hiddenNmse)) came in"
        }
      }
      plot.add(column: column, bars, title: title)
    }
    addLimits(names, to: &plot)
    let legend =
      isolated
      ? "<p class=\"legend\"><span class=\"key\" style=\"background:var(--series-0);opacity:.45\">"
        + "</span> with what it inherited &#160; "
        + HTML.key(1, "the layer's own, fed with the reference's hidden states") + "</p>"
      : "<p class=\"legend\">A layer's own part is measured by --isolate, against the reference "
        + "itself.</p>"
    return section(
      "layers", "Error by layer",
      "NMSE of the hidden states after each layer; MTP layers follow the decoder layers.",
      "<figure id=\"layer-error\">" + ScaleSwitch.markUp(id: "\(prefix)layer-scale")
        + plot.svg(
          label: "NMSE of the hidden states after \(layers.count) layers", places: "layer",
          name: name(ofLayer:))
        + legend + "</figure>")
  }

  /// Share of expert choices in common, for each layer with experts.
  var routerPlot: HTML.Section? {
    agreement(
      "router", "Router agreement", of: "choices",
      "Share of the reference's expert choices that the candidate makes too. Bars hang from 100 %: "
        + "a long one is a layer whose router chooses other experts.",
      layers: "layers with experts", place: "layer with experts", limit: "min-router-agreement",
      all: \.routerAgreement, own: \.routerAgreement)
  }

  /// Share of chosen keys in common, for each layer that sees chosen keys.
  var keyPlot: HTML.Section? {
    agreement(
      "keys", "Key agreement", of: "keys",
      "Share of the keys that the reference's queries see which the candidate's see too. Bars hang "
        + "from 100 %: a long one is a layer whose indexer, or that of the layer it shares, chooses "
        + "other keys.",
      layers: "layers that see chosen keys", place: "layer", limit: nil, all: \.keyAgreement,
      own: \.keyAgreement)
  }

  /// A section with a bar for each layer that has such a share.
  private func agreement(
    _ id: String, _ title: String, of choices: String, _ text: String, layers: String,
    place: String, limit: String?, all: KeyPath<LogitsComparison.Layer, Double?>,
    own: KeyPath<LogitsComparison.Own, Double?>
  ) -> HTML.Section? {
    let found = report.comparison.layers.indices.filter {
      report.comparison.layers[$0][keyPath: all] != nil
    }
    guard !found.isEmpty else { return nil }
    func share(_ place: Int) -> (all: Double, own: Double?) {
      let layer = report.comparison.layers[found[place]]
      return (layer[keyPath: all] ?? .nan, layer.own?[keyPath: own])
    }
    let values = found.indices.map { min(share($0).all, share($0).own ?? 1) }
    var plot = Plot(places: found.count, axis: .shares(of: values), hangs: true)
    for (column, places) in plot.columns.enumerated() {
      guard let worst = places.min(by: { share($0).all < share($1).all }) else { continue }
      let (whole, part) = share(worst)
      var bars = [Plot.Bar(value: whole, style: "total")]
      if let part { bars.append(Plot.Bar(value: part, style: "own", width: 0.5)) }
      plot.add(
        column: column, bars,
        title: "layer \(name(ofLayer: found[worst])): \(Quantity.attained(whole)) of the "
          + "\(choices) in common"
          + (part.map { ", \(Quantity.attained($0)) on the reference's states" } ?? ""))
    }
    if let limit { addLimits([limit], to: &plot) }
    return section(
      id, title, text,
      "<figure id=\"\(id)-agreement\">"
        + plot.svg(
          label: "\(title) of \(found.count) \(layers)", places: place,
          name: { name(ofLayer: found[$0]) })
        + "</figure>")
  }
}
