internal import Models
internal import Platform
internal import Weights

extension Unknowns {
  /// What a document says in keys that are passed over: an error for each that changes what is
  /// computed, a warning for those of which nothing is known, and one where two keys disagree.
  static func findings(_ document: JSONValue, _ config: ModelConfig) -> [Finding] {
    var unknowns = Unknowns()
    unknowns.add(keysOf: document, config: config)
    return unknowns.findings(
      file: config.hasMistralNames ? "params.json" : "config.json", type: config.modelType)
  }

  /// The keys as findings.
  ///
  /// - Parameters:
  ///   - file: where they stand.
  ///   - type: the network that they are not a part of.
  func findings(file: String, type: String) -> [Finding] {
    var findings = keys.map { key in
      Finding(
        .metadataMismatch, file: file, expected: "keys of \(type) alone",
        found: "\(key.name) \(key.value)",
        hint: (key.meaning.map { "\($0); " } ?? "")
          + "Fathom would compute another network: logits, verify and convert refuse it without "
          + "--ignore-unknown")
    }
    if !unfamiliar.isEmpty {
      findings.append(
        Finding(
          .metadataMismatch, .warning, file: file, expected: "known keys",
          found: unfamiliar.joined(separator: ", "),
          hint: "nothing is known of them, and they are taken for harmless"))
    }
    return findings
      + contradictions.map {
        Finding(.metadataMismatch, .warning, file: file, expected: $0.counts, found: $0.other)
      }
      + ambiguous.map {
        Finding(
          .metadataMismatch, .warning, file: file,
          expected: "a value for what loaders take differently", found: "no \($0)",
          hint: "the value that the model was trained with belongs there; Fathom takes that of "
            + "transformers")
      }
  }
}
