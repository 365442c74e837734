public import Formats
public import Models
public import Tensors

/// The halves that a GGUF file has in place of a `kv_b_proj`.
public struct JointKeyValues: Sendable {
  /// (heads, latent, nope)
  public let keys: StoredTensor
  /// (heads, value, latent)
  public let values: StoredTensor
  /// The joint matrix: (heads × (nope + value), latent).
  public let shape: Shape

  /// Nil where one of them is absent or is not what the config implies.
  public init?(of joint: String, in inventory: Inventory, config: DeepSeekV3Config) {
    guard let keys = inventory[HalfNames.keys(of: joint)],
      let values = inventory[HalfNames.values(of: joint)],
      keys.shape.dimensions == [config.heads, config.keyValueRank, config.nopeHeadSize],
      values.shape.dimensions == [config.heads, config.valueHeadSize, config.keyValueRank]
    else { return nil }
    guard
      let shape = Shape([
        config.heads * (config.nopeHeadSize + config.valueHeadSize), config.keyValueRank,
      ])
    else { return nil }
    self.shape = shape
    self.keys = keys
    self.values = values
  }

  /// How the joint matrix is put together.
  public func assembly(_ config: DeepSeekV3Config) -> Assembly {
    Assembly(
      parts: [Assembly.Part(keys), Assembly.Part(values)],
      rows: .joined(keys: config.nopeHeadSize, values: config.valueHeadSize))
  }
}
