package import Formats
package import Mixes
internal import Models
package import Platform
internal import Tensors
package import Weights

/// What the user asked for.
package struct Recipe: Sendable {
  /// Which layers the output holds.
  package enum MTP: String, Sendable, Hashable, CaseIterable {
    /// All of them.
    case keep
    /// The decoder layers, without the multi-token-prediction ones.
    case drop
    /// The multi-token-prediction layers alone.
    case only
  }

  /// How the scales of FP8 blocks are chosen.
  package enum ScaleFormat: String, Sendable, Hashable, CaseIterable {
    /// amax / 448 in F32.
    case f32
    /// The power of two above it, stored in F32 as DeepSeek-V3.1 does.
    case ue8m0
  }

  /// Formats that can be written, each with what is its own.
  package enum Target: Sendable {
    /// A Hugging Face checkpoint.
    case huggingFace
    /// A GGUF file for llama.cpp.
    case gguf(GGUFRecipe)
    /// So many model-parallel shards for DeepSeek's own code.
    case deepSeek(shards: Int)
    /// A folder for mlx-lm or mlx-swift-lm.
    case mlx(MLXRecipe)
    /// A folder in compressed-tensors' formats, or with ModelOpt's names.
    case compressed(CompressedOutput)
    /// The first of these, module by module.
    case compressedMix(CompressedMix)

    /// Whose names codes get that compressed-tensors knows; nil for other formats.
    var maker: CompressedScheme.Maker? {
      switch self {
      case .compressed(let output): output.maker
      case .compressedMix: .compressedTensors
      case .huggingFace, .gguf, .deepSeek, .mlx: nil
      }
    }

    /// What is the format's own.
    package var own: any DialectRecipe {
      switch self {
      case .huggingFace: HuggingFaceRecipe()
      case .gguf(let recipe): recipe
      case .deepSeek(let shards): NativeRecipe(shards: shards)
      case .mlx(let recipe): recipe
      case .compressed(let output): output
      case .compressedMix(let mix): mix
      }
    }
  }

  /// The format.
  package var target: Target
  /// Name of the output; splits of a GGUF file are named after it.
  package var outputName: ExactText
  /// Storage of the weights of a Hugging Face checkpoint; nil leaves every tensor in the type that
  /// it has.
  package var weights: WeightStorage?
  /// Which layers are kept.
  package var mtp: MTP
  /// Most bytes of tensors in one file; nil for the format's usual ones.
  package var shardLimit: Int?
  /// Rows and columns of an FP8 block; nil for DeepSeek's 128 × 128, or what the source has.
  package var blockSize: BlockSize?
  /// Scales of FP8 blocks; nil for F32, or what the source has.
  package var scaleFormat: ScaleFormat?
  /// Whether to leave out, or to carry along, what may belong to the network and is not known.
  package var ignoresUnknown = false
  /// Whether a manifest is written beside the output.
  package var writesManifest = true
  /// Whether the files of weights say what they were made from.
  package var embedsProvenance = false
  /// The source's hashes for them to say, which stand before the weights and so are taken before;
  /// nil for stand-ins, which give a plan of the same size.
  package var sourceHashes: ContentHashes?

  /// Most bytes of tensors in one file of a Hugging Face checkpoint where the user says nothing:
  /// what Hugging Face's own writers put into one.
  package static let usualShardLimit = 5_000_000_000

  /// Makes a recipe.
  package init(
    target: Target = .huggingFace, outputName: ExactText = "model", weights: WeightStorage? = nil,
    mtp: MTP = .keep, shardLimit: Int? = nil, blockSize: BlockSize? = nil,
    scaleFormat: ScaleFormat? = nil
  ) {
    self.target = target
    self.outputName = outputName
    self.weights = weights
    self.mtp = mtp
    self.shardLimit = shardLimit
    self.blockSize = blockSize
    self.scaleFormat = scaleFormat
  }
}
