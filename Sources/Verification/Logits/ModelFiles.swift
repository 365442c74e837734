public import Codecs
public import Formats
public import Models
public import Platform
public import Reference

/// A checkpoint that is to be computed with: its files and what its config says.
public struct ModelFiles: Sendable {
  /// The files.
  public let checkpoint: Checkpoint
  /// The network that they hold.
  public let config: DeepSeekV3Config

  /// Opens a MODEL argument.
  ///
  /// - Throws: what `Checkpoint` and `DeepSeekV3Config` throw.
  public init(path: String, threads: Int = Workers.available) throws(Fault) {
    checkpoint = try Checkpoint(path: path, threads: threads)
    config = try DeepSeekV3Config(
      json: checkpoint.config, file: Folder.join(checkpoint.folder, "config.json"))
  }

  /// The model's own tokenizer.
  ///
  /// - Throws: `.notFound` where it has none, and what `Tokenizer` throws.
  public func tokenizer() throws(Fault) -> Tokenizer {
    guard let files = try TokenizerFiles.read(in: checkpoint.folder) else {
      throw Fault(
        .notFound, "has no tokenizer for a text", file: checkpoint.folder,
        expected: "tokenizer.json, or token ids in place of the text")
    }
    return try Tokenizer(files, folder: checkpoint.folder)
  }

  /// The network over the checkpoint's weights, every tensor that it needs being there.
  ///
  /// - Parameter mtp: whether its MTP layers will be run.
  /// - Throws: `.malformed` with the first tensor that is missing or wrong.
  public func network(
    mtp: Bool, threads: Int, level: KernelLevel = .best
  ) throws(Fault) -> Network {
    Network(
      config: config, weights: try CheckpointWeights(checkpoint, config: config, mtp: mtp),
      threads: threads, level: level)
  }
}
