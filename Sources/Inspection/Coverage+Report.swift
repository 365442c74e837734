package import Formats
package import Platform
internal import Reports

extension Coverage {
  /// The counts in words: `168 compared, 1 different, 1 not compared`.
  package var summary: String {
    var parts = ["\(Quantity.count(compared)) compared"]
    for problem in Problem.allCases where self[problem].count > 0 {
      parts.append("\(Quantity.count(self[problem].count)) \(problem.rawValue)")
    }
    if uncompared.count > 0 { parts.append("\(Quantity.count(uncompared.count)) not compared") }
    return parts.joined(separator: ", ")
  }

  /// What could not be compared, a line each; the last one counts those that are not named.
  package var uncomparedLines: [OutputText] {
    var lines: [OutputText] = uncompared.names.map { "not compared: \($0)" }
    if uncompared.count > lines.count {
      lines.append("not compared: \(Quantity.count(uncompared.count - lines.count)) more")
    }
    return lines
  }

  /// The counts, and the first names of what could not be compared.
  package var json: JSONValue {
    var object: JSONObject = ["compared": .integer(compared)]
    for problem in Problem.allCases { object[problem.rawValue] = .integer(self[problem].count) }
    object["notCompared"] = .integer(uncompared.count)
    object["notComparedNames"] = .array(uncompared.names.map { .string($0.text) })
    return .object(object)
  }
}
