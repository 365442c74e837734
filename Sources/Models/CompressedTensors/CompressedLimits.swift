extension LoaderLimit {
  /// What is known of transformers 5.23 with compressed-tensors 0.20, which puts the experts of a layer
  /// together before it restores them.
  package static let transformersCompressed: [LoaderLimit] = [
    LoaderLimit { config in
      let scheme = expertScheme(config)
      return scheme?.format == .nvfp4 && scheme?.maker == .compressedTensors
        ? "transformers 5.23 does not apply weight_global_scale to routed experts: their weights come "
          + "out thousands of times too large there; vLLM applies it" : nil
    },
    LoaderLimit { config in
      expertScheme(config)?.maker == .modelOpt
        ? "transformers 5.23 does not read ModelOpt's NVFP4; vLLM, SGLang and TensorRT-LLM do" : nil
    },
    LoaderLimit { config in
      guard case .block? = expertScheme(config)?.geometry else { return nil }
      return "transformers 5.23 does not load block FP8 of compressed-tensors for routed experts: "
        + "--to hf --quant fp8 is the form that it loads"
    },
  ]

  /// How routed experts are stored; nil where they are plain, or there are none.
  private static func expertScheme(_ config: ModelConfig) -> CompressedScheme? {
    guard config.compressed != nil, config.architecture.hasExperts else { return nil }
    var one = config
    // One layer with experts tells of all.
    one.layers = config.firstDenseLayers + 1
    one.mtpLayers = 0
    for tensor in one.expectedTensors() where tensor.part == .expert {
      if case .compressed(let scheme) = tensor.storage { return scheme }
      return nil
    }
    return nil
  }
}
