/// A grid of shaded cells as an SVG of bounded size: neighbouring rows or columns are joined where
/// there are too many, the largest value counting.
package struct HeatMap {
  /// Shades, the lightest being 1.
  package static let levels = 7
  /// Rows and columns at most.
  package static let limits = (rows: 128, columns: 400)
  /// Cells that have a text of their own for the pointer: the darkest. The others have their row's.
  private static let titledCells = 300
  private static let (width, left, right, top, bottom) = (960.0, 62.0, 8.0, 4.0, 36.0)

  /// A cell that is not empty.
  package struct Cell {
    /// Its row, from the top.
    package let row: Int
    /// Its column, from the left.
    package let column: Int
    /// What its colour says.
    package let value: Double

    /// Makes a cell.
    package init(row: Int, column: Int, value: Double) {
      self.row = row
      self.column = column
      self.value = value
    }
  }

  /// What stands at a row.
  package struct Row {
    /// The number beside it.
    package let label: String
    /// The text for the pointer.
    package let title: String

    /// Makes a row.
    package init(label: String, title: String) {
      self.label = label
      self.title = title
    }
  }

  /// The rows from the top.
  package let rows: [Row]
  /// Columns before any are joined.
  package let columns: Int
  /// Cells in any order; no place twice.
  package let cells: [Cell]
  /// The shade of a value.
  package let level: (Double) -> Int
  /// The text of a cell.
  package let title: (Cell) -> String

  /// Draws nothing yet.
  package init(
    rows: [Row], columns: Int, cells: [Cell], level: @escaping (Double) -> Int,
    title: @escaping (Cell) -> String
  ) {
    self.rows = rows
    self.columns = columns
    self.cells = cells
    self.level = level
    self.title = title
  }

  /// The picture.
  ///
  /// - Parameters:
  ///   - style: the class that has the colour.
  ///   - label: what a reader who does not see it is told.
  ///   - places: what the columns are, and the rows.
  package func svg(style: String, label: String, places: (columns: String, rows: String)) -> String
  {
    let bands = Plot.columns(rows.count, limit: HeatMap.limits.rows)
    let stripes = Plot.columns(columns, limit: HeatMap.limits.columns)
    let cellHeight = min(18, max(4, 420 / Double(max(1, bands.count))))
    let pitch = (HeatMap.width - HeatMap.left - HeatMap.right) / Double(max(1, stripes.count))
    let floor = HeatMap.top + cellHeight * Double(bands.count)
    func place(_ cell: Cell) -> (x: Double, y: Double) {
      let row = Double(cell.row / max(1, bands.first?.count ?? 1))
      let column = Double(cell.column / max(1, stripes.first?.count ?? 1))
      return (HeatMap.left + column * pitch, HeatMap.top + row * cellHeight)
    }
    var text = SVG.open(HeatMap.width, floor + HeatMap.bottom, label: label)
    for (index, band) in bands.enumerated() {
      text +=
        "<g><title>\(band.map { HTML.escape(rows[$0].title) }.joined(separator: "\n"))</title>"
        + SVG.rect(
          "empty", HeatMap.left, HeatMap.top + Double(index) * cellHeight,
          HeatMap.width - HeatMap.left - HeatMap.right, cellHeight) + "</g>\n"
    }
    for index in stride(from: 0, to: bands.count, by: SVG.step(bands.count, labels: 20)) {
      text += SVG.text(
        "end", HeatMap.left - 8, HeatMap.top + (Double(index) + 0.5) * cellHeight + 4,
        HTML.escape(rows[bands[index].lowerBound].label))
    }
    for column in stride(from: 0, to: columns, by: SVG.step(columns, labels: 16)) {
      let x = place(Cell(row: 0, column: column, value: 0)).x + pitch / 2
      text += SVG.text("middle", x, floor + 15, "\(column)")
    }
    text += SVG.text(
      "middle", (HeatMap.left + HeatMap.width) / 2, floor + HeatMap.bottom - 4,
      HTML.escape(places.columns))
    text += "<g class=\"\(style)\">\n"
    let shown = joined(bands, stripes)
    // No gaps between cells that are a few pixels wide.
    let gap = pitch > 4 ? 1.0 : 0
    // One unit is a cell, so that its numbers are short.
    text +=
      "<g transform=\"translate(\(SVG.number(HeatMap.left)) \(SVG.number(HeatMap.top))) "
      + "scale(\(pitch) \(cellHeight))\">\n"
    let rest = Dictionary(grouping: shown.dropFirst(HeatMap.titledCells)) { level($0.value) }
    for (level, cells) in rest.sorted(by: { $0.key < $1.key }) {
      let places = cells.map {
        ($0.row / max(1, bands.first?.count ?? 1), $0.column / max(1, stripes.first?.count ?? 1))
      }
      text += "<path class=\"h\(level)\" d=\"\(HeatMap.path(places))\"/>\n"
    }
    text += "</g>\n"
    for cell in shown.prefix(HeatMap.titledCells) {
      let (x, y) = place(cell)
      text +=
        "<g><title>\(HTML.escape(title(cell)))</title>"
        + SVG.rect("h\(level(cell.value))", x, y, pitch - gap, cellHeight - gap) + "</g>\n"
    }
    return text + "</g>" + SVG.close
  }

  /// Unit squares at places (row, column), neighbours in a row drawn as one.
  private static func path(_ places: [(Int, Int)]) -> String {
    var text = ""
    var (row, start, end) = (-1, 0, 0)
    func close() {
      if end > start { text += "M\(start) \(row)h\(end - start)v1h-\(end - start)z" }
    }
    for place in places.sorted(by: <) {
      if place.0 != row || place.1 != end {
        close()
        (row, start) = place
      }
      end = place.1 + 1
    }
    close()
    return text
  }

  /// The cells that are drawn, the darkest first.
  private func joined(_ bands: [Range<Int>], _ stripes: [Range<Int>]) -> [Cell] {
    var largest: [[Int]: Cell] = [:]
    let (height, width) = (max(1, bands.first?.count ?? 1), max(1, stripes.first?.count ?? 1))
    for cell in cells {
      let key = [cell.row / height, cell.column / width]
      if cell.value.badness > largest[key]?.value.badness ?? -1 { largest[key] = cell }
    }
    return largest.values.sorted {
      ($1.value.badness, $0.row, $0.column) < ($0.value.badness, $1.row, $1.column)
    }
  }
}
