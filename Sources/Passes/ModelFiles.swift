package import Codecs
package import Dialects
package import Formats
package import Models
package import Platform
package import Reference
package import Text
package import Weights

/// A checkpoint that is to be computed with: its files and what its config says.
package struct ModelFiles: Sendable {
  /// The files as the source of anything.
  package let source: SourceModel

  /// What is assumed, and what is left out of a pass, a line each.
  package let notes: [String]

  /// Opens a MODEL argument.
  ///
  /// - Parameter ignoresUnknown: whether to leave out what may belong to the network and is not
  ///   known; the notes say what it is.
  /// - Throws: what `Checkpoint` and `ModelConfig` throw; `.malformed` for what is not known, and for
  ///   files that have different weights of one name.
  package init(
    path: String, threads: Int = Workers.available, ignoresUnknown: Bool = false
  ) throws(Fault) {
    source = try SourceModel(path: path, threads: threads)
    let unknowns = source.unknowns()
    if !ignoresUnknown {
      try unknowns.requireNone(for: "the pass", file: source.checkpoint.folder)
    }
    try source.weights.requireEqualCopies()
    notes =
      source.notes + unknowns.lines.map { "left out, as --ignore-unknown asks: \($0)" }
      + unknowns.remarks()
  }

  /// The files.
  package var checkpoint: Checkpoint { source.checkpoint }
  /// The network that they hold.
  package var config: ModelConfig { source.config }
  /// The GGUF file that the checkpoint was read from; nil for any other.
  package var gguf: GGUFModel? { source.gguf }
  /// The weights under Hugging Face's names.
  package var weights: SourceWeights { source.weights }
  /// All tensors by the names that the files themselves use.
  package var inventory: Inventory { source.checkpoint.inventory }

  /// The model's own tokenizer.
  ///
  /// - Throws: `.notFound` where it has none, and what `Tokenizer` throws.
  package func tokenizer() throws(Fault) -> Tokenizer {
    if let gguf {
      return try Tokenizer(
        metadata: gguf.files.metadata, file: Folder.join(gguf.files.folder, gguf.files.name))
    }
    guard let files = try CheckpointTokenizer.read(in: checkpoint.folder) else {
      throw Fault(
        .notFound, "has no tokenizer for a text", file: checkpoint.folder,
        expected: "tokenizer.json or Kimi's tiktoken.model, or token ids in place of the text")
    }
    return try files.tokenizer(folder: checkpoint.folder)
  }

  /// Refuses a runtime that is to be imitated and does not read the model.
  ///
  /// - Throws: `.usage`.
  package func requireReadable(by runtime: RuntimeArithmetic?) throws(Fault) {
    guard let runtime else { return }
    if config.architecture.hasStreams, let part = runtime.partOfStreamsNotImitated {
      throw Fault(
        .usage, "is of a network that --as \(runtime.rawValue) does not imitate: \(part)",
        file: checkpoint.folder, expected: "--as llama.cpp of a GGUF file, or no --as",
        found: config.architecture.modelTypes[0])
    }
    guard runtime == .llamaCpp, gguf == nil else { return }
    throw Fault(
      .usage, "is no GGUF file, and llama.cpp reads nothing else", file: checkpoint.folder,
      expected: "a GGUF file for --as llama.cpp")
  }

  /// The network over the checkpoint's weights, every tensor that it needs being there.
  ///
  /// - Parameter mtp: whether its MTP layers will be run.
  /// - Throws: `.malformed` with the first tensor that is missing or wrong.
  package func network(
    mtp: Bool, threads: Int, level: KernelLevel = .best
  ) throws(Fault) -> Network {
    Network(
      config: config, weights: try CheckpointWeights(weights, config: config, mtp: mtp),
      threads: threads, level: level)
  }
}
