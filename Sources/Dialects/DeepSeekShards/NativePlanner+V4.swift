internal import Formats
internal import Models
internal import Naming
internal import Platform
internal import Tensors
internal import Weights

/// DeepSeek-V4 in the shards of its own code.
extension NativePlanner {
  /// Throws `.usage` where the network has what that code computes otherwise.
  static func requireWritable(_ source: SourceModel) throws(Fault) {
    guard source.config.v4 != nil else {
      return try SourceCheck.requireUsualLayers(source, of: "DeepSeek's code")
    }
    try SourceCheck.requireUsualRatios(source, of: "DeepSeek's code")
  }

  /// What a tensor is called in the shards, and how they divide it; nil where they have no name.
  static func translation(
    of tensor: PlannedTensor, named name: ExactText, in config: ModelConfig
  ) -> NativeNames.Translation? {
    config.v4 == nil
      ? NativeNames.native(of: name) : V4Shards.translation(of: tensor.entry.name)
  }
}
