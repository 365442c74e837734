internal import Inspection
internal import Platform
internal import Reports

/// What the weights of a model are, folded by layer: those of a layer that are alike but for the numbers
/// in their names share a row.
struct StatisticsSection {
  private struct Row {
    let name: String
    var statistics: WeightStatistics
  }

  /// The section of a page.
  let section: HTML.Section

  /// - Parameter weights: each weight's name and what it is.
  init(_ weights: [(name: ExactText, statistics: WeightStatistics)]) {
    var layers: [Int?: [Row]] = [:]
    var places: [String: Int] = [:]
    for (name, statistics) in weights {
      let parts = PlanRows.parts(of: name)
      let (layer, pattern) = (TensorGroups.layer(parts), PlanRows.pattern(parts).text)
      let key = "\(layer ?? -1) \(pattern)"
      if let place = places[key] {
        layers[layer]?[place].statistics.add(statistics)
      } else {
        places[key] = layers[layer]?.count ?? 0
        layers[layer, default: []].append(Row(name: pattern, statistics: statistics))
      }
    }
    let order = layers.keys.sorted { ($0 ?? -1) < ($1 ?? -1) }
    section = HTML.Section(
      id: "statistics", title: "Statistics",
      content: order.map { Self.details(layer: $0, layers[$0] ?? []) }.joined(separator: "\n"))
  }

  private static func details(layer: Int?, _ rows: [Row]) -> String {
    let cells = rows.map { row in
      let of = row.statistics
      return HTML.cells([
        row.name, Quantity.count(of.tensors), Quantity.count(of.elements),
        Quantity.significant(Double(of.smallest)), Quantity.significant(Double(of.largest)),
        Quantity.significant(of.mean), Quantity.significant(of.rootMeanSquare),
        Quantity.count(of.zeros), Quantity.count(of.nonFinite),
      ])
    }
    let titles = [
      "weights", "tensors", "elements", "smallest", "largest", "mean", "rms", "zeros", "NaN, Inf",
    ]
    return "<details><summary>\(layer.map { "Layer \($0)" } ?? "In no layer"): "
      + "\(Quantity.plural(rows.reduce(0) { $0 + $1.statistics.tensors }, "tensor"))</summary>"
      + HTML.table(titles, cells) + "</details>"
  }
}
