internal import Platform

/// Named points over two measures, as an SVG: what each of some candidates costs and gives, and a
/// curve of what could be had.
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
    /// Its colour, a series of the page's.
    package let series: Int

    /// Makes a point.
    package init(name: String, title: String, x: Double, y: Double, series: Int = 0) {
      (self.name, self.title, self.x, self.y) = (name, title, x, y)
      self.series = series
    }
  }

  private let points: [Point]
  private let curve: [Point]
  private let axis: ValueAxis
  private let across: ValueAxis

  /// Makes a plot.
  ///
  /// - Parameters:
  ///   - points: what is named, where names leave room for each other the first before the others.
  ///   - curve: points that are joined by a line and have no names.
  ///   - axis: the vertical scale.
  ///   - across: the horizontal one; nil for a linear one from zero.
  package init(
    _ points: [Point], curve: [Point] = [], axis: ValueAxis, across: ValueAxis? = nil
  ) {
    self.points = points
    self.curve = curve
    self.axis = axis
    self.across = across ?? .fromZero(to: (points + curve).map(\.x))
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
    for (from, to) in zip(curve, curve.dropFirst()) {
      text += SVG.line("curve", x(from.x), y(from.y), x(to.x), y(to.y))
    }
    for point in curve {
      text += "<g><title>\(HTML.escape(point.title))</title>"
      text += SVG.rect("s\(point.series)", x(point.x) - 3, y(point.y) - 3, 6, 6) + "</g>\n"
    }
    var labels = Labels(
      besides: points.map { (x($0.x), y($0.y)) }, curve: curve.map { (x($0.x), y($0.y)) })
    for point in points {
      let (px, py) = (x(point.x), y(point.y))
      text += "<g><title>\(HTML.escape(point.title))</title>"
      text += SVG.rect(
        point.y.isFinite ? "s\(point.series)" : "bad", px - 5, py - 5, 10, 10)
      if let place = labels.place(of: point.name, besideX: px, y: py) {
        text += SVG.text(place.anchor, place.x, place.y, HTML.escape(point.name))
      }
      text += "</g>\n"
    }
    return text + SVG.line("axis", ScatterPlot.left, floor, end, floor) + SVG.close
  }
}

/// Places of names beside points, so that none lies on another, or on a point; on a curve only where
/// there is no other place.
private struct Labels {
  private typealias Place = (left: Double, right: Double, base: Double)

  private var taken: [Place]
  private let curve: [Place]

  /// Measured in the page's font: the width of a character, and the height of a line.
  private static let (character, line) = (7.0, 12.0)

  init(besides points: [(x: Double, y: Double)], curve: [(x: Double, y: Double)]) {
    taken = points.map { ($0.x - 5, $0.x + 5, $0.y + 4) }
    self.curve = curve.map { ($0.x - 3, $0.x + 3, $0.y + 4) }
  }

  /// The first place that is free; nil where none is, since the pointer is told the name too.
  mutating func place(
    of name: String, besideX x: Double, y: Double
  ) -> (anchor: String, x: Double, y: Double)? {
    guard
      let place = free(name, besideX: x, y: y, of: taken + curve)
        ?? free(name, besideX: x, y: y, of: taken)
    else { return nil }
    taken.append(place.taken)
    return (place.anchor, place.x, place.taken.base)
  }

  private func free(
    _ name: String, besideX x: Double, y: Double, of taken: [Place]
  ) -> (anchor: String, x: Double, taken: Place)? {
    let width = Double(name.count) * Labels.character
    for base in [y + 4, y - 10, y + 18, y - 24, y + 32] {
      for (anchor, start, left) in [("", x + 9, x + 9), ("end", x - 9, x - 9 - width)] {
        let right = left + width
        let isFree = !taken.contains {
          abs($0.base - base) < Labels.line && left < $0.right && $0.left < right
        }
        if isFree { return (anchor, start, (left, right, base)) }
      }
    }
    return nil
  }
}
