internal import Inspection
internal import Platform
internal import Reports
internal import Tensors
internal import Verification

/// What has two dimensions: experts by layer, and types by layer and tensor.
extension VerifyPage {
  /// Use and error of the experts, layers × experts.
  var expertMaps: HTML.Section? {
    let layers = report.comparison.layers.filter { !$0.experts.isEmpty }
    guard !layers.isEmpty else { return nil }
    let isolated = layers.contains { $0.own != nil }
    return section(
      "experts", "Experts", "",
      "<figure id=\"expert-use\">\n<h3>Use</h3>\n\(useMap(layers))</figure>\n"
        + (isolated
          ? "<figure id=\"expert-error\">\n<h3>Error</h3>\n\(errorMap(layers))</figure>"
          : "<p class=\"legend\">What each expert adds to the error is measured against the "
            + "reference itself, with --isolate.</p>"))
  }

  private func useMap(_ layers: [LogitsComparison.Layer]) -> String {
    let fair = layers.map { layer in
      Double(layer.experts.reduce(0) { $0 + $1.uses }) / Double(max(1, report.routedExperts))
    }
    let map = HeatMap(
      rows: layers.map { layer in
        let used = layer.experts.count { $0.uses > 0 }
        let most = layer.experts.max { ($0.uses, $1.index) < ($1.uses, $0.index) }
        return HeatMap.Row(
          label: "\(layer.index)",
          title: "layer \(layer.index): \(used) of \(report.routedExperts) experts used"
            + (most.map { ", expert \($0.index) most, by \(Quantity.plural($0.uses, "token"))" }
              ?? ""))
      },
      columns: report.routedExperts,
      cells: layers.enumerated().flatMap { row, layer in
        layer.experts.filter { $0.uses > 0 && $0.index < report.routedExperts }.map {
          HeatMap.Cell(
            row: row, column: $0.index, value: Double($0.uses) / max(1e-9, fair[row]))
        }
      },
      // Shades are powers of two around what an even use would be.
      level: { min(7, max(1, Int((Mathematics.log($0) / Mathematics.log(2)).rounded(.down)) + 4)) },
      title: { cell in
        let uses = Int((cell.value * fair[cell.row]).rounded())
        let layer = layers[cell.row]
        let other = layer.experts.first { $0.index == cell.column }?.candidateUses ?? 0
        return "layer \(layer.index), expert \(cell.column): \(Quantity.plural(uses, "token")) of "
          + "the reference, \(Quantity.count(other)) of the candidate, "
          + "\(Quantity.significant(cell.value)) times an even share"
      })
    return map.svg(
      style: "use", label: "Use of \(report.routedExperts) experts in \(layers.count) layers",
      places: ("expert", "layer"))
      + "<p class=\"legend\">Tokens of the reference beside an even share: "
      + legend("use", ["less than ¼", "¼", "½", "1", "2", "4", "8 times and more"])
      + ". Rows are layers; an empty cell is an expert that no token used.</p>"
  }

  private func errorMap(_ layers: [LogitsComparison.Layer]) -> String {
    let cells = layers.enumerated().flatMap { row, layer in
      (layer.own?.experts ?? []).filter { $0.errorShare > 0 && $0.index < report.routedExperts }
        .map {
          HeatMap.Cell(
            row: row, column: $0.index, value: $0.errorShare * (layer.own?.nmse.badness ?? 0))
        }
    }
    let largest = cells.map(\.value).max() ?? 1
    // Two shades a decade.
    func level(_ value: Double) -> Int {
      guard value < largest else { return 7 }
      let distance = 2 * (ValueAxis.decade(largest) - ValueAxis.decade(value))
      return max(1, 7 - Int(min(6, distance)))
    }
    let map = HeatMap(
      rows: layers.map { layer in
        let worst = (layer.own?.experts ?? []).max { $0.errorShare < $1.errorShare }
        return HeatMap.Row(
          label: "\(layer.index)",
          title: "layer \(layer.index): own NMSE "
            + Quantity.significant(layer.own?.nmse ?? .nan)
            + (worst.map {
              $0.errorShare > 0
                ? ", expert \($0.index) has \(Quantity.percent($0.errorShare)) of it" : ""
            } ?? ""))
      },
      columns: report.routedExperts, cells: cells, level: level,
      title: { cell in
        let own = layers[cell.row].own
        let expert = own?.experts.first { $0.index == cell.column }
        return "layer \(layers[cell.row].index), expert \(cell.column): "
          + "\(Quantity.percent(expert?.errorShare ?? .nan)) of the layer's own NMSE of "
          + "\(Quantity.significant(own?.nmse ?? .nan)), "
          + Quantity.plural(expert?.uses ?? 0, "token")
      })
    return map.svg(
      style: "error", label: "Error of \(report.routedExperts) experts in \(layers.count) layers",
      places: ("expert", "layer"))
      + "<p class=\"legend\">NMSE that the expert explains best of its layer's own: "
      + legend(
        "error",
        [
          "a thousandth of the largest and less", "", "", "", "", "",
          "\(Quantity.significant(largest)), the largest",
        ])
      + ". Attention and shared experts have the rest.</p>"
  }

  private func legend(_ style: String, _ words: [String]) -> String {
    words.enumerated().map { index, word in
      "<svg class=\"key\" viewBox=\"0 0 10 10\" style=\"width:.8rem\" aria-hidden=\"true\">"
        + "<g class=\"\(style)\">\(SVG.rect("h\(index + 1)", 0, 0, 10, 10))</g></svg> "
        + HTML.escape(word)
    }.joined(separator: " ")
  }

  // MARK: - Types

  /// Rows of the map at most; a model has some thirty.
  private static let typeRowLimit = 64
  private static let (typeLeft, typeRight, typeWidth) = (230.0, 80.0, 960.0)
  private static let typeHeight = 17.0

  /// The types of the candidate's tensors by layer.
  var typeMap: HTML.Section? {
    let map = report.candidateTypes
    let sorted = Inspection.sorted(map.types)
    let colours = HTML.series(sorted.map(\.type))
    let total = sorted.reduce(0) { $0 + $1.tally.bytes }
    let legend = sorted.map { type, tally in
      HTML.key(colours[type] ?? 0, type.rawValue)
        + HTML.escape(
          " \(Quantity.bytes(tally.bytes)), "
            + Quantity.percent(Double(tally.bytes) / Double(max(1, total))))
    }
    return section(
      "types", "Types of the candidate",
      "What the files store, \(Quantity.bytes(total)) in all: tensors outside the layers at the "
        + "left, then layer by layer.",
      "<p class=\"legend\">\(legend.joined(separator: " &#160; "))</p>\n"
        + "<figure id=\"type-map\">\(typeGrid(map, colours))</figure>")
  }

  private func typeGrid(_ map: TypeMap, _ colours: [ElementType: Int]) -> String {
    let rows = map.rows.prefix(VerifyPage.typeRowLimit)
    let layers = Set(map.rows.flatMap(\.layers.keys)).sorted()
    // The first column is what lies outside the layers.
    let stripes = Plot.columns(layers.count, limit: HeatMap.limits.columns)
    let pitch =
      (VerifyPage.typeWidth - VerifyPage.typeLeft - VerifyPage.typeRight)
      / Double(stripes.count + 1)
    let height = VerifyPage.typeHeight * Double(rows.count)
    var text = SVG.open(
      VerifyPage.typeWidth, height + 36,
      label: "Types of \(map.rows.count) kinds of tensors in \(layers.count) layers")
    for (index, row) in rows.enumerated() {
      let y = VerifyPage.typeHeight * Double(index)
      text += SVG.text(
        "end", VerifyPage.typeLeft - 8, y + 12, HTML.escape(VerifyPage.short(row.name)))
      let cells =
        [row.outside]
        + stripes.map { stripe in
          stripe.reduce(into: [:]) { sum, place in
            sum.merge(row.layers[layers[place]] ?? [:], uniquingKeysWith: +)
          }
        }
      text += typeRuns(row.name, cells, y: y, pitch: pitch, colours) { column in
        column == 0 ? "outside the layers" : "layer \(layers[stripes[column - 1].lowerBound])"
      }
      text += SVG.text(
        "end", VerifyPage.typeWidth, y + 12, Quantity.bytes(row.bytes))
    }
    for place in stride(from: 0, to: layers.count, by: SVG.step(layers.count, labels: 12)) {
      let column = Double(place / max(1, stripes.first?.count ?? 1)) + 1
      text += SVG.text(
        "middle", VerifyPage.typeLeft + (column + 0.5) * pitch, height + 14, "\(layers[place])")
    }
    text += SVG.text(
      "middle", (VerifyPage.typeLeft + VerifyPage.typeWidth) / 2, height + 32, "layer")
    let rest = map.rows.count - rows.count
    return text + SVG.close
      + (rest > 0 ? "<p class=\"legend\">and \(rest) more kinds of tensors</p>" : "")
  }

  /// A row's cells, neighbours that are alike drawn as one.
  private func typeRuns(
    _ name: String, _ cells: [[ElementType: Int]], y: Double, pitch: Double,
    _ colours: [ElementType: Int], column: (Int) -> String
  ) -> String {
    var text = ""
    var start = 0
    for end in 1...cells.count where end == cells.count || cells[end] != cells[start] || start == 0
    {
      defer { start = end }
      let bytes = cells[start].values.reduce(0, +)
      guard bytes > 0 else { continue }
      let range =
        column(start)
        + (end - start > 1 ? " to \(column(end - 1).split(separator: " ").last ?? "")" : "")
      let types = cells[start].sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }
      let title =
        "\(name), \(range): "
        + types.map { "\($0.key.rawValue) \(Quantity.bytes($0.value))" }.joined(separator: ", ")
        + (end - start > 1 ? " each" : "")
      text += "<g><title>\(HTML.escape(title))</title>"
      var x = VerifyPage.typeLeft + Double(start) * pitch
      for (type, count) in types {
        let width = (Double(end - start) * pitch - 1) * Double(count) / Double(bytes)
        text += SVG.rect("s\(colours[type] ?? 0)", x, y, width, VerifyPage.typeHeight - 3)
        x += width
      }
      text += "</g>\n"
    }
    return text
  }

  /// A name without what all have in common.
  private static func short(_ name: String) -> String {
    var text = name[...]
    for prefix in ["model.layers.*.", "blk.*.", "model."] where text.hasPrefix(prefix) {
      text = text.dropFirst(prefix.count)
    }
    if text.hasSuffix(".weight") { text = text.dropLast(".weight".count) }
    return text.count > 34 ? text.prefix(33) + "…" : String(text)
  }
}
