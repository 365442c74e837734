/// A switch between two scales of the bars that follow it, linear and logarithmic: a box to tick,
/// without a script. Both are drawn, each mark with its scale's class, and the style shows one.
package enum ScaleSwitch {
  /// The class of what is drawn to the scale that is shown at first, which begins at zero.
  package static let first = "lin"
  /// The class of what is drawn to the logarithmic scale.
  package static let second = "log"

  /// The switch of the figure that it stands in, before what it switches.
  ///
  /// - Parameters:
  ///   - id: names it; no other on the page has the same.
  ///   - note: what the logarithmic scale shows, beside its axis.
  package static func markUp(id: String, note: String = "") -> String {
    let second = note.isEmpty ? "" : " \(HTML.escape(note))"
    return "<input type=\"checkbox\" class=\"scale\" id=\"\(id)\"/>"
      + "<label for=\"\(id)\">logarithmic</label>"
      + "<span class=\"scale-name lin\">Linear scale from zero.</span>"
      + "<span class=\"scale-name log\">Logarithmic scale.\(second)</span>\n"
  }

  /// Two classes, either of which may be none.
  static func classes(_ one: String, _ other: String) -> String {
    [one, other].filter { !$0.isEmpty }.joined(separator: " ")
  }

  /// Its rules. Paper shows the scale that was chosen, and its name in place of the box.
  static let style = """
    .log { display: none; } .bars { pointer-events: none; } .scale, .scale + label { cursor: pointer; }
    .scale + label, .scale-name { color: var(--faint); padding: 0 .8rem 0 .3rem; }
    .scale:checked ~ .scroll .lin, .scale:checked ~ .lin { display: none; }
    .scale:checked ~ .scroll .log, .scale:checked ~ .log { display: inline; }
    @media print { .scale, .scale + label { display: none; } }
    """
}
