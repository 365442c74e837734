package import Formats
package import Platform
package import Tensors

extension Recipe {
  /// What the files of weights say of their making, nothing unless that was asked for.
  package func provenance(
    of tensors: [PlannedTensor], from source: SourceModel
  ) -> [(key: String, value: String)] {
    guard embedsProvenance else { return [] }
    var result = [
      (key: Provenance.version, value: FathomVersion.text),
      (Provenance.recipe, JSONValue.object(portableJSON).text(indent: nil)),
      (Provenance.source, source.name), (Provenance.format, source.format.rawValue),
      (Provenance.decisions, Recipe.decisions(tensors).text(indent: nil)),
      (Provenance.checkpoint, hashes(of: source).checkpoint.text),
    ]
    if writesManifest { result.append((Provenance.manifest, manifestName.text)) }
    return result
  }

  /// What they say of the contents of what their tensors are made from.
  package func sourceHashes(of tensors: [PlannedTensor], from source: SourceModel) -> TensorNotes? {
    guard embedsProvenance else { return nil }
    let stored = source.checkpoint.inventory.tensors
    let hashes = hashes(of: source).tensors
    var lines: [ExactText: Int] = [:]
    for (line, tensor) in hashes.enumerated() { lines[tensor.name] = line }
    return TensorNotes(
      key: Provenance.hashes, lines: hashes.map(\.line),
      places: tensors.map { tensor in
        tensor.sources.map { part in
          guard let line = lines[stored[part.index].name] else {
            preconditionFailure("hashes of another model")
          }
          return line
        }
      })
  }

  /// The source's hashes, or others of the same length while they are not known.
  private func hashes(of source: SourceModel) -> ContentHashes {
    let unknown = BLAKE3.hash([])
    return sourceHashes
      ?? ContentHashes(
        source.checkpoint.inventory.tensors.map { TensorHash($0, bytes: unknown) })
  }

  /// File name of the output's manifest.
  package var manifestName: ExactText {
    target.own.isFolder ? ManifestName.folder : ManifestName.beside(outputName)
  }

  /// Tensors that became the same for the same reason, counted, in the order of the first of each.
  private static func decisions(_ tensors: [PlannedTensor]) -> JSONValue {
    struct Decision: Hashable {
      let type: ElementType
      let treatment: Treatment
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
          "type": .string(decision.type.rawValue), "decision": .string(decision.treatment.rawValue),
          "reason": .string(decision.reason), "tensors": .integer(counts[decision] ?? 0),
        ])
      })
  }
}

extension Metadata {
  /// Adds what files say of their making, all of them in one place.
  package mutating func note(
    _ recipe: Recipe, of tensors: [PlannedTensor], from source: SourceModel
  ) {
    for (key, value) in recipe.provenance(of: tensors, from: source) {
      self[key] = .string(value)
    }
    if let hashes = recipe.sourceHashes(of: tensors, from: source) {
      self[hashes.key] = .string(hashes.text)
    }
  }
}

extension SourceModel {
  /// Its folder, or the first file of a GGUF model.
  package var path: String {
    format == .gguf ? checkpoint.inventory.shards.first?.file.path ?? "" : checkpoint.folder
  }

  /// The last name of its path: paths are nobody's business.
  package var name: String { Folder.name(of: path).text }
}
