/// A plot of values over numbered places (positions, layers), as an SVG of bounded size: where
/// there are more places than columns, a column stands for several.
package struct Plot {
  /// Columns at most.
  package static let columnLimit = 400
  private static let (width, height) = (960.0, 230.0)
  private static let (left, right, top, bottom) = (62.0, 8.0, 10.0, 36.0)
  private static let widestBar = 40.0

  /// A bar of a column.
  package struct Bar {
    /// What it reaches to; one that is no number is drawn at full height as bad.
    package let value: Double
    /// Its class in the page's style.
    package let style: String
    /// The share of the column's width that it takes.
    package var width = 1.0

    /// Makes a bar.
    package init(value: Double, style: String, width: Double = 1) {
      self.value = value
      self.style = style
      self.width = width
    }
  }

  /// The places that each column stands for.
  package let columns: [Range<Int>]
  /// The scale, and the one that a switch shows in its place, each with its class in the style.
  private let axes: [(axis: ValueAxis, style: String)]
  private let hangs: Bool
  private var marks = ""
  /// Outlines of the bars to the scale that a switch shows, by their styles: one path for all of a
  /// style, since the columns' own marks have their texts.
  private var outlines: [(style: String, path: String)] = []

  /// Makes an empty plot.
  ///
  /// - Parameters:
  ///   - axis: the scale that is shown at first.
  ///   - switched: the one that `ScaleSwitch` shows in its place; nil where there is no switch.
  ///   - hangs: whether bars hang from the top, for values whose best is there.
  package init(places: Int, axis: ValueAxis, switched: ValueAxis? = nil, hangs: Bool = false) {
    columns = Plot.columns(places, limit: Plot.columnLimit)
    axes =
      switched.map { [(axis, ScaleSwitch.first), ($0, ScaleSwitch.second)] } ?? [(axis, "")]
    self.hangs = hangs
  }

  /// Cuts places into equally many for each of at most `limit` columns.
  package static func columns(_ places: Int, limit: Int) -> [Range<Int>] {
    let size = max(1, (places + limit - 1) / limit)
    return stride(from: 0, to: places, by: size).map { $0..<min($0 + size, places) }
  }

  private var pitch: Double {
    (Plot.width - Plot.left - Plot.right) / Double(max(1, columns.count))
  }

  private func y(_ value: Double, _ axis: ValueAxis) -> Double {
    Plot.top + (Plot.height - Plot.top - Plot.bottom) * (1 - axis.height(of: value))
  }

  /// Adds the bars of a column, the first at the back, with a text for the pointer.
  package mutating func add(column: Int, _ bars: [Bar], title: String) {
    let x = Plot.left + Double(column) * pitch
    let (floor, roof) = (Plot.height - Plot.bottom, Plot.top)
    marks += "<g><title>\(HTML.escape(title))</title>"
    marks += SVG.rect("hit", x, roof, pitch, floor - roof)
    for bar in bars {
      let width = min(pitch > 3 ? pitch * 0.8 : pitch, Plot.widestBar) * bar.width
      let left = x + (pitch - width) / 2
      guard bar.value.isFinite else {
        marks += SVG.rect("bad", left, roof, width, floor - roof)
        continue
      }
      for (axis, style) in axes {
        let end = y(bar.value, axis)
        // What hangs shows even at its best, so that it is seen to have been measured.
        let (from, to) = hangs ? (roof, max(end, roof + 3)) : (end, floor)
        guard to > from else { continue }
        if style == ScaleSwitch.second {
          outline(bar.style, left, from, width, to)
        } else {
          marks += SVG.rect(ScaleSwitch.classes(bar.style, style), left, from, width, to - from)
        }
      }
    }
    marks += "</g>\n"
  }

  private mutating func outline(
    _ style: String, _ x: Double, _ top: Double, _ width: Double, _ floor: Double
  ) {
    let (across, x) = (SVG.number(width), SVG.number(x))
    let path = "M\(x) \(SVG.number(top))h\(across)V\(SVG.number(floor))h-\(across)z"
    if let place = outlines.firstIndex(where: { $0.style == style }) {
      outlines[place].path += path
    } else {
      outlines.append((style, path))
    }
  }

  /// Adds a line across the plot at a value, where that lies in it.
  package mutating func add(line value: Double, style: String, title: String) {
    var lines = ""
    for (axis, scale) in axes where value >= axis.range.low && value <= axis.range.high {
      let y = y(value, axis)
      lines += SVG.line(
        ScaleSwitch.classes(style, scale), Plot.left, y, Plot.width - Plot.right, y)
    }
    if !lines.isEmpty { marks += "<g><title>\(HTML.escape(title))</title>\(lines)</g>\n" }
  }

  /// Adds a line between two places.
  package mutating func add(boundaryBefore place: Int) {
    guard let column = columns.firstIndex(where: { $0.contains(place) }) else { return }
    let x = Plot.left + Double(column) * pitch
    marks += SVG.line("boundary", x, Plot.top, x, Plot.height - Plot.bottom) + "\n"
  }

  /// The picture.
  ///
  /// - Parameters:
  ///   - label: what a reader who does not see it is told.
  ///   - places: what the horizontal axis counts.
  ///   - name: the number of a place.
  package func svg(label: String, places: String, name: (Int) -> String = { "\($0)" }) -> String {
    var text = SVG.open(Plot.width, Plot.height, label: label)
    for (axis, style) in axes {
      text += "<g\(style.isEmpty ? "" : " class=\"\(style)\"")>"
      for tick in axis.ticks {
        let y = y(tick.value, axis)
        text += SVG.line("grid", Plot.left, y, Plot.width - Plot.right, y)
        text += SVG.text("end", Plot.left - 8, y + 4, tick.label)
      }
      text += "</g>\n"
    }
    let floor = Plot.height - Plot.bottom
    let count = columns.last?.upperBound ?? 0
    for place in stride(from: 0, to: count, by: SVG.step(count, labels: 12)) {
      let column = Double(place / max(1, columns.first?.count ?? 1))
      text += SVG.text(
        "middle", Plot.left + (column + 0.5) * pitch, floor + 15, HTML.escape(name(place)))
    }
    text += SVG.text(
      "middle", (Plot.left + Plot.width) / 2, Plot.height - 4, HTML.escape(places))
    let switched = outlines.map {
      "<path class=\"bars \(ScaleSwitch.classes($0.style, ScaleSwitch.second))\" d=\"\($0.path)\"/>\n"
    }
    return text + marks + switched.joined()
      + SVG.line("axis", Plot.left, floor, Plot.width - Plot.right, floor)
      + SVG.close
  }
}

/// The pieces of a picture.
package enum SVG {
  /// The beginning of a picture that is as wide as the page and readable on a narrow one.
  package static func open(_ width: Double, _ height: Double, label: String) -> String {
    "<div class=\"scroll\"><svg viewBox=\"0 0 \(number(width)) \(number(height))\" role=\"img\" "
      + "aria-label=\"\(HTML.escape(label))\">\n"
  }

  /// The end of what `open` begins.
  package static let close = "</svg></div>"

  /// A rectangle of a style from its upper left corner on.
  package static func rect(
    _ style: String, _ x: Double, _ y: Double, _ width: Double, _ height: Double
  ) -> String {
    "<rect class=\"\(style)\" x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(width))\" "
      + "height=\"\(number(height))\"/>"
  }

  /// A line of a style from one place to another.
  package static func line(
    _ style: String, _ x: Double, _ y: Double, _ toX: Double, _ toY: Double
  ) -> String {
    "<path class=\"\(style)\" d=\"M\(number(x)) \(number(y))L\(number(toX)) \(number(toY))\"/>"
  }

  /// A text that begins, ends or is centred at a place; `text` is markup.
  package static func text(_ anchor: String, _ x: Double, _ y: Double, _ text: String) -> String {
    "<text class=\"\(anchor)\" x=\"\(number(x))\" y=\"\(number(y))\">\(text)</text>\n"
  }

  /// Two digits behind the point at most.
  package static func number(_ value: Double) -> String {
    var text = Quantity.fixed(value, digits: 2)[...]
    while text.hasSuffix("0") { text = text.dropLast() }
    return String(text.hasSuffix(".") ? text.dropLast() : text)
  }

  /// The distance of labels on a row of `count` places: 1, 2 or 5 times a power of ten.
  package static func step(_ count: Int, labels: Int) -> Int {
    var power = 1
    while true {
      for factor in [1, 2, 5] where count <= labels * factor * power { return factor * power }
      power *= 10
    }
  }
}
