internal import Codecs
internal import Formats
internal import Models
internal import Platform
internal import Tensors

/// Refuses a source that cannot be converted before one weight is read. It stops at the first
/// fault; `fathom validate` lists them all.
struct SourceCheck {
  let source: SourceModel
  let mtp: Recipe.MTP
  let presentMTPLayers: Int

  private static let hint = "fathom validate lists everything that is wrong"
  /// Element types whose numbers are converted.
  static let plainTypes: Set<ElementType> = [.bf16, .f16, .f32]
  /// Element types that a grid of scales may have.
  static let scaleTypes: Set<ElementType> = [.f32, .bf16, .f16, .f8E8M0]

  /// Whether values can be stored in a type.
  static func isWritable(_ type: ElementType) -> Bool {
    Codec.codec(for: type)?.isWritable ?? false
  }

  /// Throws `.malformed` for the first tensor that is missing or is not what the config implies.
  func run() throws(Fault) {
    var config = source.config
    config.mtpLayers = max(presentMTPLayers, config.mtpLayers)
    var checked: Set<String> = []
    for expected in config.expectedTensors() {
      let layer = expected.layer ?? 0
      let isMTP = expected.layer != nil && layer >= config.layers
      if mtp != .keep, isMTP != (mtp == .only) { continue }
      let isDeclared = layer < config.layers + source.config.mtpLayers
      try check(expected, isRequired: isDeclared)
      checked.insert(expected.name)
    }
    for tensor in source.checkpoint.inventory.tensors {
      try checkScaling(of: tensor, isExpected: checked.contains(tensor.name))
    }
  }

  private func check(_ expected: ExpectedTensor, isRequired: Bool) throws(Fault) {
    guard let tensor = source.checkpoint.inventory[expected.name] else {
      if isSplit(expected) { return }
      // An FP8 weight's scales are asked for with the weight; a plain one needs none. llama.cpp
      // leaves copies of embedding and head out.
      let isCopy = expected.part == .embeddingCopy || expected.part == .headCopy
      guard isRequired, expected.storage != .scale, !isCopy || source.gguf == nil else { return }
      throw Fault(
        .malformed, "is missing", file: source.checkpoint.folder, tensor: expected.name,
        expected: "\(expected.shape)", found: "nothing; \(Self.hint)")
    }
    guard tensor.shape == expected.shape else {
      throw fault(tensor, "has the wrong shape", "\(expected.shape)", "\(tensor.shape)")
    }
    let allowed: Set<ElementType> =
      switch expected.storage {
      case .scale: Self.scaleTypes
      case .fp8: Self.plainTypes.union([.f8E4M3])
      case .plain, .float32: Self.plainTypes
      }
    guard allowed.contains(tensor.type) || source.gguf != nil && tensor.type.isBlock else {
      throw fault(
        tensor, "has the wrong type", allowed.map(\.rawValue).sorted().joined(separator: " or "),
        tensor.type.rawValue)
    }
  }

  /// Whether a GGUF file has the two halves of a matrix in its place.
  private func isSplit(_ expected: ExpectedTensor) -> Bool {
    source.gguf != nil
      && JointKeyValues(
        of: expected.name, in: source.checkpoint.inventory, config: source.config) != nil
  }

  /// An FP8 weight and its grid belong together, whether the config implies them or not.
  private func checkScaling(of tensor: StoredTensor, isExpected: Bool) throws(Fault) {
    let inventory = source.checkpoint.inventory
    if let name = ExpectedTensor.weightName(ofScale: tensor.name) {
      let weight = inventory[name]
      guard let weight, weight.type == .f8E4M3 else {
        throw fault(
          tensor, "scales no FP8 weight", "\(name) in F8_E4M3", weight?.type.rawValue ?? "nothing")
      }
    }
    guard tensor.type == .f8E4M3 else { return }
    let name = ExpectedTensor.scaleName(for: tensor.name)
    guard let scales = inventory[name] else {
      guard isExpected else { return }
      throw fault(tensor, "has no scales", name, "nothing")
    }
    guard let fp8 = source.config.fp8 else {
      throw fault(tensor, "is FP8", "a quantization_config in config.json", "none")
    }
    guard let grid = fp8.scaleShape(of: tensor.shape) else {
      throw fault(tensor, "has scales", "a matrix", "\(tensor.shape)")
    }
    guard scales.shape == grid, Self.scaleTypes.contains(scales.type) else {
      throw fault(
        scales, "does not fit its weight", "\(grid) for \(tensor.shape)",
        "\(scales.shape) of \(scales.type.rawValue)")
    }
  }

  private func fault(
    _ tensor: StoredTensor, _ message: String, _ expected: String, _ found: String
  ) -> Fault {
    Fault(
      .malformed, message, file: source.path(of: tensor), tensor: tensor.name,
      expected: expected, found: "\(found); \(Self.hint)")
  }
}
