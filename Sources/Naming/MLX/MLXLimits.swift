package import Models

extension LoaderLimit {
  /// What is known of mlx-lm 0.32's modules.
  package static let mlx: [LoaderLimit] = [
    LoaderLimit { config in
      guard config.mtpLayers > 0 else { return nil }
      switch config.architecture.mlx.mtp {
      case .leftOut: return "mlx-lm loads this without the MTP layers"
      case .leftOutOnly(let layer) where config.layers == layer && config.mtpLayers == 1:
        return "mlx-lm loads this without the MTP layer, which it leaves out by its number"
      case .leftOutOnly(let layer):
        return "mlx-lm refuses MTP layers other than layer \(layer): use --mtp drop to load this "
          + "there"
      case .refused: return "mlx-lm refuses MTP layers: use --mtp drop to load this there"
      }
    },
    LoaderLimit { config in
      config.tiedEmbeddings && !config.architecture.mlx.ties
        ? "mlx-lm does not load a model of this family without lm_head.weight" : nil
    },
    LoaderLimit { config in
      guard config.architecture.mlx.hasOwnInnerEpsilon, config.rmsNormEpsilon != 1e-6 else {
        return nil
      }
      return "mlx-lm computes q_a_layernorm and kv_a_layernorm with rms_norm_eps "
        + "\(config.rmsNormEpsilon), and the model has 1e-06 there: small latents differ"
    },
    LoaderLimit { config in
      guard let scale = config.yarn?.mscaleAllDimensions, scale != 0,
        config.architecture.mlx.ignoresTemperature
      else { return nil }
      return "mlx-lm ignores mscale_all_dim for this model: attention is not as sharp there"
    },
    LoaderLimit { config in
      config.indexer?.isFull.contains(false) == true
        ? "mlx-lm wants an indexer in every layer and refuses layers that share keys, as these do"
        : nil
    },
    LoaderLimit { config in
      config.indexer == nil
        ? nil
        : "mlx-lm computes indexer.k_norm with an epsilon of 1e-05, and the model has 1e-06 there: "
          + "of keys with nearly the same score it may choose others"
    },
    LoaderLimit { config in
      config.ropeInterleaved || !config.architecture.mlx.ignoresRopeLayout
        ? nil : "mlx-lm does not read rope_interleave false, and takes pairs (2i, 2i + 1)"
    },
  ]
}
