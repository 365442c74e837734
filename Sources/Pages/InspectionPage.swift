package import Inspection
internal import Models
package import Platform
package import Reports
internal import Tensors

extension Inspection {
  /// The inspection as one HTML page that needs no network: the summary, bytes by type, where the
  /// parameters are, the layers as bars, and all tensors by layer, readable in light and dark, on a
  /// phone and on paper.
  ///
  /// - Parameters:
  ///   - title: what the user called the checkpoint.
  ///   - origin: what made the page.
  ///   - statistics: what each weight is; nil where weights were not read, which the page says.
  package func page(
    title: String, origin: PageOrigin,
    statistics: [(name: ExactText, statistics: WeightStatistics)]? = nil
  ) -> String {
    InspectionPage(inspection: self, statistics: statistics).text(title: title, origin: origin)
  }
}

/// An inspection as one page; layers that are alike share a row.
private struct InspectionPage {
  let inspection: Inspection
  let statistics: [(name: ExactText, statistics: WeightStatistics)]?

  func text(title: String, origin: PageOrigin) -> String {
    var sections = [
      HTML.Section(
        id: "storage", title: "Storage",
        content: """
          <p>\(legend)</p>
          \(bar(inspection.types, of: inspection.total.bytes, height: 22))
          \(HTML.table(["type", "tensors", "elements", "bytes"], typeRows))
          """)
    ]
    if !inspection.partParameters.isEmpty {
      sections.append(
        HTML.Section(
          id: "parameters", title: "Where the parameters are",
          content: HTML.table(["part", "parameters", "share", ""], partRows)))
    }
    if !inspection.layers.isEmpty {
      sections.append(
        HTML.Section(
          id: "layers", title: "Layers",
          content: HTML.table(
            ["layers", "kind", "parameters of each", "active", "bytes", ""], layerRows)))
    }
    let groups = TensorGroups(inspection.tensors)
    if !groups.layers.isEmpty {
      sections.append(
        HTML.Section(
          id: "tensors", title: "Tensors",
          content: groups.layers.map(details).joined(separator: "\n")
            + (groups.isCut ? "<p>Others are left out; --tensors lists them.</p>" : "")
            + (statistics == nil
              ? "<p>Weights were not read: --stats says what their numbers are.</p>" : "")))
    }
    if let statistics { sections.append(StatisticsSection(statistics).section) }
    return HTML.page(
      title: title, command: "inspect", origin: origin, sections: sections,
      body: "<table class=\"facts\">\(facts)</table>")
  }

  private var facts: String {
    inspection.summaryFacts.map {
      "<tr><th scope=\"row\">\(HTML.escape($0))</th><td>\(HTML.escape($1))</td></tr>"
    }.joined(separator: "\n")
  }

  /// Each type's colour, by the order of the bytes that it takes.
  private var colours: [ElementType: Int] {
    HTML.series(Inspection.sorted(inspection.types).map(\.type))
  }

  private var legend: String {
    Inspection.sorted(inspection.types).map {
      HTML.key(colours[$0.type] ?? 0, $0.type.rawValue)
    }.joined(separator: " &#160; ")
  }

  /// A stacked bar; `whole` bytes take its full width.
  private func bar(
    _ parts: [ElementType: Inspection.Tally], of whole: Int, height: Int
  ) -> String {
    HTML.bar(
      Inspection.sorted(parts).map { type, tally in
        (
          Double(tally.bytes) / Double(max(whole, 1)), colours[type] ?? 0,
          "\(type.rawValue): \(Quantity.bytes(tally.bytes))"
        )
      }, height: height)
  }

  private var typeRows: [[String]] {
    Inspection.sorted(inspection.types).map {
      HTML.cells([
        $0.type.rawValue, Quantity.count($0.tally.tensors), Quantity.count($0.tally.elements),
        Quantity.bytes($0.tally.bytes),
      ])
    }
  }

  private var partRows: [[String]] {
    let sum = max(inspection.partParameters.values.reduce(0, +), 1)
    let rows = inspection.partParameters.map { (InspectionPage.words($0.key), $0.value) }
    return rows.sorted { ($1.1, $0.0) < ($0.1, $1.0) }.map { name, count in
      let share = Double(count) / Double(sum)
      return HTML.cells([
        name, Quantity.short(count), Quantity.fixed(100 * share, digits: 1) + " %",
      ]) + ["<td class=\"bar\">\(HTML.bar([(share, 0, name)], height: 12))</td>"]
    }
  }

  private static func words(_ part: ExpectedTensor.Part?) -> String {
    switch part {
    case nil: "MTP layers"
    case .embedding?, .embeddingCopy?: "embedding"
    case .head?, .headCopy?: "head"
    case .norm?: "norms"
    case .attention?: "attention"
    case .indexer?: "indexer"
    case .mlp?: "dense MLP"
    case .router?: "routers"
    case .routingTable?: "tables of experts"
    case .streams?: "streams"
    case .compressor?: "compressors"
    case .sinks?: "sinks"
    case .expert?: "routed experts"
    case .sharedExpert?: "shared experts"
    case .mtpInput?: "MTP input"
    }
  }

  private var layerRows: [[String]] {
    let widest = inspection.layers.map(\.bytes).max() ?? 0
    let alike = Ranges(inspection.layers.map(\.index), of: inspection.layers) {
      [
        $0.kind.rawValue, Quantity.short($0.parameters), Quantity.short($0.activePerToken),
        Quantity.bytes($0.bytes),
      ]
    }
    return alike.ranges.map { range in
      let layer = range.first
      return HTML.cells(
        [
          range.text(), layer.kind.rawValue, Quantity.short(layer.parameters),
          Quantity.short(layer.activePerToken), Quantity.bytes(layer.bytes),
        ], names: 2) + ["<td class=\"bar\">\(bar(layer.types, of: widest, height: 12))</td>"]
    }
  }

  /// The tensors of alike layers, folded away.
  private func details(_ group: TensorGroups.Group) -> String {
    let rows = group.rows.map {
      HTML.cells([
        $0.name, Quantity.count($0.count), $0.type.rawValue, "\($0.shape)",
        Quantity.bytes($0.bytes),
      ])
    }
    let bytes = group.rows.reduce(0) { $0 + $1.bytes }
    return "<details><summary>\(HTML.escape(group.title)): "
      + "\(Quantity.plural(group.rows.reduce(0) { $0 + $1.count }, "tensor")), "
      + "\(Quantity.bytes(bytes))\(group.isRange ? " each" : "")</summary>"
      + HTML.table(["tensor", "count", "type", "shape of each", "bytes of all"], rows)
      + "</details>"
  }
}
