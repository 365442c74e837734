internal import Formats
internal import Platform
internal import Tensors

/// What a file of weights says of its own making: `fathom.*` in safetensors' `__metadata__` or among
/// the keys of a GGUF file.
///
/// A header stands before the weights and is written first, so that it has what a plan knows: the
/// source's hashes are taken before, in a reading of their own, those of the output are in the
/// manifest that it names.
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
  /// Content hash of the whole source.
  static let checkpoint = prefix + "source.checkpoint"
  /// Content hashes of the tensors that a file's own are made from, lines as `fathom hash` prints.
  static let hashes = prefix + "source.hashes"
  /// Stands where a hash will.
  static let blank = String(repeating: "0", count: 2 * BLAKE3Value.byteCount)
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
      (Provenance.checkpoint, sourceHashes?.checkpoint.text ?? Provenance.blank),
    ]
    if writesManifest { result.append((Provenance.manifest, manifestName)) }
    return result
  }

  /// What they say of the contents of what their tensors are made from.
  func sourceHashes(of tensors: [PlannedTensor], from source: SourceModel) -> TensorNotes? {
    guard embedsProvenance else { return nil }
    let stored = source.checkpoint.inventory.tensors
    // The order of content hashes.
    let order = stored.indices.sorted {
      stored[$0].name.utf8.lexicographicallyPrecedes(stored[$1].name.utf8)
    }
    var lines = [Int](repeating: 0, count: stored.count)
    for (line, index) in order.enumerated() { lines[index] = line }
    return TensorNotes(
      key: Provenance.hashes,
      lines: order.enumerated().map { line, index in
        let tensor = stored[index]
        return TensorHash.line(
          sourceHashes?.tensors[line].hash.text ?? Provenance.blank, tensor.type, tensor.shape,
          tensor.name)
      },
      places: tensors.map { $0.sources.map { lines[$0.index] } })
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
