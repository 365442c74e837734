package import Platform
package import Tensors

/// The tokenizer that a folder with a checkpoint has, in either of the two ways to store one.
package enum CheckpointTokenizer: Sendable {
  /// `tokenizer.json`, and what lies beside it.
  case json(TokenizerFiles)
  /// Kimi's `tiktoken.model`.
  case kimi(KimiTokenizerFiles)

  /// Reads the files of a folder. Where there are both, `tokenizer.json` counts: transformers and
  /// llama.cpp take it too.
  ///
  /// - Returns: nil where there is neither.
  /// - Throws: what `TokenizerFiles.read` and `KimiTokenizerFiles.read` throw.
  package static func read(in path: String) throws(Fault) -> CheckpointTokenizer? {
    if let files = try TokenizerFiles.read(in: path) { return .json(files) }
    return try KimiTokenizerFiles.read(in: path).map { .kimi($0) }
  }

  /// What a folder has, by the names of its files and their first bytes: for people.
  ///
  /// - Returns: nil where it has none that Fathom reads.
  /// - Throws: `.inputOutput` where the folder cannot be read.
  package static func summary(in path: String) throws(Fault) -> String? {
    let folder = try InputFolder(path: path)
    /// What stands behind a file's name: nil for a file that is not there, nothing for a sound one.
    func note(_ name: ExactText) throws(Fault) -> String? {
      guard case .file(let file)? = try folder.entry(name) else { return nil }
      guard let nature = try FileNature.of(file), nature.isPlaceholder else { return "" }
      return ", which is \(nature.name)"
    }
    let kimi = try note(KimiTokenizerFiles.fileName)
    guard let json = try note(TokenizerFiles.jsonName) else {
      return kimi.map { "tiktoken.model" + ($0.isEmpty ? ", as Kimi's code reads it" : $0) }
    }
    return "tokenizer.json\(json)" + (kimi == nil ? "" : "; tiktoken.model is not read")
  }

  /// The tokenizer.
  ///
  /// - Parameter folder: where the files are, for messages.
  /// - Throws: what `Tokenizer` throws.
  package func tokenizer(folder: String) throws(Fault) -> Tokenizer {
    switch self {
    case .json(let files): try Tokenizer(files, folder: folder)
    case .kimi(let files): try Tokenizer(files)
    }
  }

  /// The largest id that it gives, and the token's text where it is a special one; nil without any.
  package var largestID: (id: Int, text: String?)? {
    switch self {
    case .json(let files): files.largestID
    // Special tokens of Kimi's code go on beyond the rows that its models have.
    case .kimi(let files): (files.vocabulary.tokens.count - 1, nil)
    }
  }

  /// The tokenizer as llama.cpp's converter writes it into a GGUF file.
  ///
  /// - Parameters:
  ///   - config: `config.json`; it names the ids of special tokens as well.
  ///   - splitter: llama.cpp's name for what splits a text, for `tokenizer.json`.
  ///   - named: special tokens of `tokenizer.json` that are found by their texts.
  ///   - vocabSize: rows of the embedding table.
  ///   - folder: where the files are, for messages.
  /// - Throws: `.malformed` where the tokenizer is none that can be written, or larger than the model.
  package func ggufMetadata(
    config: JSONValue, splitter: String, named: [String: String], vocabSize: Int, folder: String
  ) throws(Fault) -> Metadata {
    switch self {
    case .json(let files):
      try files.ggufMetadata(
        config: config, splitter: splitter, named: named, vocabSize: vocabSize, folder: folder)
    case .kimi(let files): try files.ggufMetadata(config: config, vocabSize: vocabSize)
    }
  }
}
