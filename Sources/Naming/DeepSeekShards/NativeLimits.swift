internal import Models
internal import Platform
internal import Tensors

/// What a config may say and DeepSeek's keys, or its code, cannot.
extension LoaderLimit {
  /// A key with a value other than the one that DeepSeek's code has built in.
  private init<Value: Equatable & Sendable>(
    _ key: String, builtIn: Value, _ value: @escaping @Sendable (ModelConfig) -> Value
  ) {
    self.init { config in
      let found = value(config)
      return found == builtIn
        ? nil
        : "DeepSeek's config has no key for \(key) \(found): its code computes with \(builtIn)"
    }
  }

  /// What has no key, by what `inference/model.py` computes.
  static let nativeKeys: [LoaderLimit] = [
    LoaderLimit("rms_norm_eps", builtIn: Float(1e-6)) { $0.rmsNormEpsilon },
    LoaderLimit("moe_layer_freq", builtIn: 1) { $0.moeLayerFrequency },
    LoaderLimit("rope_interleave", builtIn: true) { $0.ropeInterleaved },
    LoaderLimit("truncate", builtIn: true) { $0.yarn?.truncate ?? true },
    // Weights of chosen experts are divided by their sum after sigmoids, never after a softmax.
    LoaderLimit { config in
      let builtIn = config.scoring == .sigmoid
      guard config.normalizeExpertWeights != builtIn else { return nil }
      return "DeepSeek's config has no key for norm_topk_prob \(config.normalizeExpertWeights): "
        + "its code computes with \(builtIn) for \(config.scoring.rawValue) scores"
    },
    LoaderLimit { config in
      guard let yarn = config.yarn, abs(yarn.tableFactor - 1) > 1e-9 else { return nil }
      return "DeepSeek's config has no key for the factor on sines and cosines, here "
        + "\(yarn.tableFactor): its code computes with 1"
    },
    LoaderLimit { config in
      let read = NativeSource.network(
        hasCorrectionBias: config.architecture.hasCorrectionBias,
        hasIndexer: config.indexer != nil)
      guard config.modelType != read.modelTypes[0] else { return nil }
      return "DeepSeek's config has no key for model_type \(config.modelType)"
    },
  ]

  /// What the tensors show all the same, and that code stores otherwise.
  static let nativeStorage: [LoaderLimit] = [
    LoaderLimit { config in
      let usual = ModelConfig.FP8Quantization.Blocks(
        rows: NativeConfig.blockSize, columns: NativeConfig.blockSize)
      guard let blocks = config.fp8?.blocks, blocks != usual else { return nil }
      return "DeepSeek's code has FP8 blocks of \(usual.rows) × \(usual.columns), and these are of "
        + "\(blocks.rows) × \(blocks.columns)"
    },
    LoaderLimit { config in
      // Of DeepSeek-V4 the shards have the first half of the output in BF16.
      let plain = config.fp8?.excludedModules.filter { module in
        config.v4 == nil || !V4Shards.isOutput(module)
      }
      guard plain?.isEmpty == false else { return nil }
      return "DeepSeek's code has every linear layer in FP8, and here some are not"
    },
    LoaderLimit { config in
      guard config.fp8 == nil, let type = config.dataType, type != .bf16 else { return nil }
      return "DeepSeek's code loads \(type.rawValue) weights as BF16"
    },
  ]

  /// What they show all the same, and that code stores or computes otherwise.
  static let nativeCode: [LoaderLimit] =
    nativeStorage + [
      LoaderLimit { config in
        guard config.architecture.hasCorrectionBias != (config.hiddenSize == 7168) else {
          return nil
        }
        return config.architecture.hasCorrectionBias
          ? "DeepSeek's code has the router's correction bias only where dim is 7168, and here it "
            + "is \(config.hiddenSize): it refuses the tensors ffn.gate.bias"
          : "DeepSeek's code has a correction bias in every router where dim is 7168, and there is none"
      },
      LoaderLimit { config in
        guard config.tiedEmbeddings else { return nil }
        return
          "DeepSeek's code has a head of its own and refuses files without head.weight, as those "
          + "of tied embeddings are"
      },
    ]
}
