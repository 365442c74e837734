internal import Formats
internal import Models
internal import Naming
package import Platform
internal import Tensors
internal import Weights

/// Refuses a source that cannot be converted before one weight is read. It stops at the first
/// fault; `fathom validate` lists them all.
package struct SourceCheck {
  /// What is to be converted.
  package let source: SourceModel
  /// What becomes of the MTP layers.
  package let mtp: Recipe.MTP

  private static let hint = "fathom validate lists everything that is wrong"

  /// Throws `.usage` where a network has what a loader does not know, or what is not written for it.
  package static func requireUsualLayers(
    _ source: SourceModel, of loader: String
  ) throws(Fault) {
    guard source.config.v4 == nil else {
      throw Fault(
        .usage, "is DeepSeek-V4, which is not written for \(loader)",
        file: source.checkpoint.folder, expected: "--to hf, --to gguf or --to deepseek",
        found: "model_type \(source.config.modelType)")
    }
    guard source.config.architecture.normsExperts else { return }
    throw Fault(
      .usage, "norms what its experts give, which \(loader) does not know",
      file: source.checkpoint.folder, expected: "--to hf or --to compressed-tensors",
      found: "model_type \(source.config.modelType)")
  }

  /// Throws `.usage` where DeepSeek-V4 compresses keys otherwise than published models do, or has
  /// experts by a table behind layers without, which a loader computes otherwise or cannot be told.
  package static func requireUsualRatios(
    _ source: SourceModel, of loader: String
  ) throws(Fault) {
    guard let v4 = source.config.v4 else { return }
    for layer in 0..<source.config.layers {
      guard let ratio = v4.ratio(ofLayer: layer) else { continue }
      let usual = v4.kind(ofLayer: layer) == .sparse ? 4 : 128
      guard ratio == usual else {
        throw Fault(
          .usage, "compresses keys as \(loader) does not", file: source.checkpoint.folder,
          expected: "4 tokens to an entry where an indexer chooses, 128 elsewhere",
          found: "\(ratio) in layer \(layer)")
      }
    }
    guard source.config.hashLayers != nil else {
      throw Fault(
        .usage, "has experts by a table in layers that \(loader) cannot be told",
        file: source.checkpoint.folder, expected: "the first layers alone",
        found: "mlp_layer_types with others before them")
    }
  }

  /// Throws `.malformed` for the first weight that is missing or is not what the config implies.
  package func run() throws(Fault) {
    var config = source.config
    config.mtpLayers = max(source.presentMTPLayers, config.mtpLayers)
    for expected in config.expectedTensors() where expected.storage != .scale {
      let layer = expected.layer ?? 0
      let isMTP = expected.layer != nil && layer >= config.layers
      if mtp != .keep, isMTP != (mtp == .only) { continue }
      let isDeclared = layer < config.layers + source.config.mtpLayers
      try check(expected, isRequired: isDeclared)
    }
    // What the config does not imply is carried along, if it is sound.
    if let fault = source.weights.faults.min(by: { $0.key < $1.key }) {
      throw hinted(fault.value)
    }
  }

  private func check(_ expected: ExpectedTensor, isRequired: Bool) throws(Fault) {
    guard let defect = source.weights.defect(of: expected) else { return }
    if case .missing = defect {
      // llama.cpp leaves copies of embedding and head out.
      let isCopy = expected.part == .embeddingCopy || expected.part == .headCopy
      guard isRequired, !isCopy || source.format == .safetensors else { return }
    }
    throw hinted(source.weights.fault(of: expected, defect))
  }

  private func hinted(_ fault: Fault) -> Fault {
    var fault = fault
    fault.found = [fault.found, Self.hint].compactMap { $0 }.joined(separator: "; ")
    return fault
  }
}
