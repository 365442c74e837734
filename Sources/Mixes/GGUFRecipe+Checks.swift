internal import Formats
internal import Models
internal import Naming
package import Platform
package import Tensors

extension GGUFRecipe {
  /// What of the recipe no tensor heeds, a line each: a slip in a pattern must not pass for a rule
  /// that was followed.
  ///
  /// - Parameter names: the output's tensors.
  /// - Throws: `.usage` where a pattern is none.
  package func unheeded(_ names: [ExactText]) throws(Fault) -> [String] {
    var lines: [String] = []
    for rule in tensorTypes {
      guard try !rule.matches(anyOf: names) else { continue }
      let layers = rule.layers == nil ? "" : " in the layers that it speaks of"
      lines.append(
        "the rule \(rule.text)=\(rule.type.rawValue.lowercased()) matches no tensor\(layers) and "
          + "changes nothing")
    }
    if base == nil, let fileType, !fileType.isQuantized, !tensorTypes.isEmpty {
      lines.append(
        "rules for types change nothing in a file of \(fileType.name), as with llama-quantize")
    }
    guard let importance else { return lines }
    lines += importance.unmatchedParts.map {
      "no tensor of the importance matrix has a name with \($0) in it"
    }
    let known = Set(names)
    let strangers = importance.names.filter { !known.contains($0) }
      .sorted()
    if let first = strangers.first {
      lines.append(
        "the importance matrix speaks of \(strangers.count) tensors that the output has not: "
          + first.text + (strangers.count > 1 ? ", …" : ""))
    }
    return lines
  }

  /// Throws where what the user puts in the place of metadata makes a file that no reader takes.
  ///
  /// - Parameters:
  ///   - metadata: as it would be without the overrides.
  ///   - names: the output's tensors.
  package func requireReadable(
    _ metadata: Metadata, names: [ExactText]
  ) throws(Fault) {
    guard !overrides.isEmpty else { return }
    try requireKinds(metadata)
    var changed = metadata
    for override in overrides { changed[override.key] = override.value }
    do throws(Fault) {
      let read = try GGUFConfig(changed, names: Set(names), file: "")
      _ = try ModelConfig(json: read.json, file: "")
    } catch {
      var fault = Fault(
        .usage, "--override-kv makes a file that cannot be read: \(error.message)",
        expected: error.expected, found: error.found)
      fault.advice = "overrides: " + overrides.map(\.text).joined(separator: " ")
      throw fault
    }
  }

  /// Throws where a value would take the place of one of another kind, which no reader expects.
  package func requireKinds(_ metadata: Metadata) throws(Fault) {
    for override in overrides {
      guard let value = metadata[override.key], value.family != override.value.family else {
        continue
      }
      throw Fault(
        .usage, "--override-kv puts another kind of value in the place of one",
        expected: "a \(value.family.rawValue) for \(override.key)", found: override.text)
    }
  }
}

extension MetadataValue {
  /// What readers tell apart; they take numbers of any size.
  fileprivate enum Family: String { case number, text, flag, list }

  fileprivate var family: Family {
    switch self {
    case .string: .text
    case .bool: .flag
    case .array: .list
    default: .number
    }
  }
}
