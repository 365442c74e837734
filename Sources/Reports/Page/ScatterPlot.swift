internal import Platform

/// Named points over two measures, as an SVG: what each of some candidates costs and gives.
package struct ScatterPlot {
  private static let (width, height) = (960.0, 320.0)
  private static let (left, right, top, bottom) = (62.0, 120.0, 14.0, 40.0)

  /// A point.
  package struct Point {
    /// What stands beside it.
    package let name: String
    /// What the pointer is told.
    package let title: String
    /// Where it lies on the horizontal axis.
    package let x: Double
    /// Where it lies on the vertical axis; one that is no number is drawn at the top as bad.
    package let y: Double

    /// Makes a point.
    package init(name: String, title: String, x: Double, y: Double) {
      (self.name, self.title, self.x, self.y) = (name, title, x, y)
    }
  }

  private let points: [Point]
  private let axis: ValueAxis
  private let across: ValueAxis

  /// Makes a plot.
  ///
  /// - Parameters:
  ///   - axis: the vertical scale.
  ///   - across: the horizontal one; nil for a linear one from zero.
  package init(_ points: [Point], axis: ValueAxis, across: ValueAxis? = nil) {
    self.points = points
    self.axis = axis
    self.across = across ?? .fromZero(to: points.map(\.x))
  }

  private func x(_ value: Double) -> Double {
    ScatterPlot.left
      + (ScatterPlot.width - ScatterPlot.left - ScatterPlot.right) * across.height(of: value)
  }

  private func y(_ value: Double) -> Double {
    let height = value.isFinite ? axis.height(of: value) : 1
    return ScatterPlot.top
      + (ScatterPlot.height - ScatterPlot.top - ScatterPlot.bottom) * (1 - height)
  }

  /// The picture.
  ///
  /// - Parameters:
  ///   - label: what a reader who does not see it is told.
  ///   - horizontal: what the horizontal axis measures.
  ///   - number: a value of that axis as a text.
  package func svg(label: String, horizontal: String, number: (Double) -> String) -> String {
    var text = SVG.open(ScatterPlot.width, ScatterPlot.height, label: label)
    let (floor, end) = (
      ScatterPlot.height - ScatterPlot.bottom, ScatterPlot.width - ScatterPlot.right
    )
    for tick in axis.ticks {
      text += SVG.line("grid", ScatterPlot.left, y(tick.value), end, y(tick.value))
      text += SVG.text("end", ScatterPlot.left - 8, y(tick.value) + 4, tick.label)
    }
    for tick in across.ticks {
      text += SVG.text("middle", x(tick.value), floor + 15, HTML.escape(number(tick.value)))
    }
    text += SVG.text(
      "middle", (ScatterPlot.left + end) / 2, ScatterPlot.height - 4, HTML.escape(horizontal))
    var named: [(x: Double, y: Double)] = []
    for point in points {
      let (px, py) = (x(point.x), y(point.y))
      text += "<g><title>\(HTML.escape(point.title))</title>"
      text += SVG.rect(point.y.isFinite ? "s0" : "bad", px - 5, py - 5, 10, 10)
      // A name that would stand on another is left to the pointer.
      if !named.contains(where: { abs($0.y - py) < 12 && abs($0.x - px) < ScatterPlot.right }) {
        named.append((px, py))
        text += SVG.text("name", px + 9, py + 4, HTML.escape(point.name))
      }
      text += "</g>\n"
    }
    return text + SVG.line("axis", ScatterPlot.left, floor, end, floor) + SVG.close
  }
}
