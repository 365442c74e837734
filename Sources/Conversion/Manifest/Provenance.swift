internal import Formats
internal import Platform
internal import Tensors

/// What a file of weights says of its own making: `fathom.*` in safetensors' `__metadata__` or among
/// the keys of a GGUF file.
///
/// A header stands before the weights and is written first, so that it has what a plan knows;
/// hashes of the contents are in the manifest that it names.
enum Provenance {
  /// What its keys begin with.
  static let prefix = "fathom."
  /// Version of the program.
  static let version = prefix + "version"
  /// What was asked for, as in the manifest.
  static let recipe = prefix + "recipe"
  /// The last name of the source's folder or file.
  static let source = prefix + "source"
  /// The source's format.
  static let format = prefix + "source.format"
  /// Types with what became of the values, why, and of how many tensors.
  static let decisions = prefix + "decisions"
  /// File name of the manifest, where there is one.
  static let manifest = prefix + "manifest"
}

extension Recipe {
  /// What the files of weights say of their making, nothing unless that was asked for.
  func provenance(
    of tensors: [PlannedTensor], from source: SourceModel
  ) -> [(key: String, value: String)] {
    guard embedsProvenance else { return [] }
    var result = [
      (key: Provenance.version, value: FathomVersion.text),
      (Provenance.recipe, JSONValue.object(portableJSON).text(indent: nil)),
      (Provenance.source, source.name), (Provenance.format, source.format.rawValue),
      (Provenance.decisions, Recipe.decisions(tensors).text(indent: nil)),
    ]
    if writesManifest { result.append((Provenance.manifest, manifestName)) }
    return result
  }

  /// File name of the output's manifest.
  var manifestName: String {
    if case .gguf = target { ManifestName.beside(outputName) } else { ManifestName.folder }
  }

  /// Tensors that became the same for the same reason, counted, in the order of the first of each.
  private static func decisions(_ tensors: [PlannedTensor]) -> JSONValue {
    struct Decision: Hashable {
      let type: ElementType
      let treatment: String
      let reason: String
    }
    var counts: [Decision: Int] = [:]
    var order: [Decision] = []
    for tensor in tensors {
      let decision = Decision(
        type: tensor.entry.type, treatment: tensor.treatment, reason: tensor.reason)
      if counts[decision] == nil { order.append(decision) }
      counts[decision, default: 0] += 1
    }
    return .array(
      order.map { decision in
        .object([
          "type": .string(decision.type.rawValue), "decision": .string(decision.treatment),
          "reason": .string(decision.reason), "tensors": .integer(counts[decision] ?? 0),
        ])
      })
  }
}

extension Metadata {
  /// Adds what a file says of its making.
  mutating func note(_ provenance: [(key: String, value: String)]) {
    for (key, value) in provenance { self[key] = .string(value) }
  }
}

extension SourceModel {
  /// Its folder, or the first file of a GGUF model.
  var path: String {
    format == .gguf ? checkpoint.inventory.shards.first?.file.path ?? "" : checkpoint.folder
  }

  /// The last name of its path: paths are nobody's business.
  var name: String { Folder.name(of: path) }
}
