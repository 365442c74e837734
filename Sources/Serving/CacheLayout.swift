package import Models
internal import Platform

/// Bytes that a token leaves in the caches of all decoder layers, in 16-bit numbers.
package struct CacheLayout: Sendable, Hashable {
  /// The latent vectors that keys and values are made from.
  package let latents: Int
  /// The rotary keys, which all heads share.
  package let rotaryKeys: Int
  /// The keys of indexers; 0 without any.
  package let indexKeys: Int
  /// Keys and values of every head, as a cache without latents has them.
  package let allHeads: Int
  /// Bytes that a sequence takes whatever its length, but for one shorter than the window: keys that
  /// are not compressed. 0 for other networks than DeepSeek-V4.
  package let perSequence: Int
  /// What programs keep, by their own formulas.
  package let programs: [Program]

  /// A program, with what it keeps of a token.
  package struct Program: Sendable, Hashable {
    /// Its name, with the setting.
    package let name: String
    /// Bytes of a token in all layers.
    package let bytes: Int
  }

  /// Adds up what a network needs.
  package init(_ config: ModelConfig) {
    let layers = config.layers
    allHeads = 2 * layers * config.heads * (config.queryHeadSize + config.valueHeadSize)
    if let streamed = StreamedCosts(config) {
      indexKeys = streamed.indexBytesPerToken
      latents = streamed.bytesPerToken - indexKeys
      (rotaryKeys, programs, perSequence) = (0, [], streamed.windowBytes)
      return
    }
    perSequence = 0
    latents = 2 * layers * config.keyValueRank
    rotaryKeys = 2 * layers * config.ropeHeadSize
    let indexers = config.indexer?.isFull.count { $0 } ?? 0
    let width = config.indexer?.headSize ?? 0
    indexKeys = 2 * indexers * width
    // FP8 with an F32 scale for 128 numbers.
    let smallIndexKeys = indexers * (width + width / 128 * 4)
    let latent = config.keyValueRank
    var programs = [
      Program(name: "transformers, BF16", bytes: latents + rotaryKeys + indexKeys),
      Program(name: "llama.cpp, F16", bytes: latents + rotaryKeys + indexKeys),
      Program(name: "vLLM, BF16", bytes: latents + rotaryKeys + smallIndexKeys),
    ]
    programs.append(
      config.indexer == nil
        ? Program(
          name: "vLLM, --kv-cache-dtype fp8", bytes: layers * (latent + config.ropeHeadSize))
        // FP8 latents with a scale for 128 of them, and the rotary key as it is.
        : Program(
          name: "vLLM, --kv-cache-dtype fp8_ds_mla",
          bytes: layers * (latent + latent / 128 * 4 + 2 * config.ropeHeadSize) + smallIndexKeys))
    self.programs = programs
  }

  /// What a token needs: latents, rotary keys, keys of indexers.
  package var bytes: Int { latents + rotaryKeys + indexKeys }

  /// For the JSON.
  var json: JSONValue {
    .object([
      "latents": .integer(latents), "rotaryKeys": .integer(rotaryKeys),
      "indexKeys": .integer(indexKeys), "allHeads": .integer(allHeads),
    ])
  }
}
