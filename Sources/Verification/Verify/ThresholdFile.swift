package import Platform

/// Limits in a file, so that a project keeps them beside its code: `Schemas/verify.schema.json`.
package enum ThresholdFile {
  private static let sizeLimit = 1 << 20

  /// Sections of the file with the keys that each may hold.
  private static let sections: [(name: String, scope: Threshold.Scope, keys: [Key])] = [
    ("main", .main, logitsKeys), ("mtp", .mtp, logitsKeys),
    ("drafts", .drafts, [("min-acceptance", .minMTPAcceptance)]),
    (
      "layers", .layers,
      [
        ("max-nmse", .maxLayerNMSE), ("max-own-nmse", .maxLayerOwnNMSE),
        ("min-router-agreement", .minRouterAgreement),
      ]
    ),
  ]
  private typealias Key = (name: String, measure: Threshold.Measure)
  private static let logitsKeys: [Key] = [
    ("max-kl", .maxKL), ("min-top1", .minTop1), ("max-nmse", .maxNMSE),
    ("max-perplexity-ratio", .maxPerplexityRatio),
  ]

  /// Reads the file that `--thresholds` names.
  ///
  /// - Throws: `.notFound`, `.inputOutput`, or `.malformed` with the key that is unknown or whose
  ///   value is no number; `.usage` for a number that is no limit, and for a file without limits,
  ///   which everything would pass.
  package static func read(_ path: String) throws(Fault) -> [Threshold] {
    let document = try JSONValue(
      parsing: InputFile.contents(of: path, limit: sizeLimit), file: path, limits: .document)
    let known = sections.map(\.name)
    let top = try members(of: document, named: "the document", known: known + ["$schema"], path)
    var thresholds: [Threshold] = []
    for section in sections {
      guard let value = top[section.name] else { continue }
      let object = try members(
        of: value, named: "\"\(section.name)\"", known: section.keys.map(\.name), path)
      for key in section.keys {
        guard let value = object[key.name] else { continue }
        let name = "\(section.name).\(key.name)"
        let limit = try number(value, key: name, path)
        if let expected = Threshold.objection(to: limit) {
          throw Fault(
            .usage, "\"\(name)\" is no limit", file: path, expected: expected,
            found: value.text(indent: nil))
        }
        thresholds.append(Threshold(key.measure, section.scope, limit: limit))
      }
    }
    guard !thresholds.isEmpty else {
      throw Fault(
        .usage, "sets no limit, so that everything would pass", file: path,
        expected: "limits for \(known.joined(separator: ", "))")
    }
    return thresholds
  }

  private static func members(
    of value: JSONValue, named name: String, known: [String], _ path: String
  ) throws(Fault) -> JSONObject {
    guard case .object(let object) = value else {
      throw Fault(
        .malformed, "\(name) is no object", file: path,
        expected: "an object with \(known.filter { $0 != "$schema" }.joined(separator: ", "))",
        found: value.text(indent: nil))
    }
    if let unknown = object.keys.first(where: { !known.contains($0) }) {
      throw Fault(
        .malformed, "\(name) has an unknown key", file: path,
        expected: known.filter { $0 != "$schema" }.joined(separator: ", "), found: unknown)
    }
    return object
  }

  private static func number(
    _ value: JSONValue, key: String, _ path: String
  ) throws(Fault) -> Double {
    switch value {
    case .integer(let number): return Double(number)
    case .number(let number, _) where number.isFinite: return number
    default:
      throw Fault(
        .malformed, "\"\(key)\" is no limit", file: path, expected: "a number",
        found: value.text(indent: nil))
    }
  }
}
