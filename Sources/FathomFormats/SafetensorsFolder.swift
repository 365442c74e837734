internal import Formats
internal import Platform

/// A folder of safetensors files that are one checkpoint: every file is there and ends where its
/// tensors end, no name stands twice, and `model.safetensors.index.json`, where there is one, tells
/// the truth.
///
/// Whether the tensors make up a model is not asked; `fathom validate` does that. In a folder of
/// DeepSeek's own model-parallel shards, which all use the same names, a tensor's name stands behind
/// its file's, without the ending, and a slash.
public struct SafetensorsFolder: Sendable {
  private let contents: FileContents
  /// The tensors, file after file, in the order of their bytes.
  public let tensors: [FileTensor]
  /// The files by the order of their names, each with the `__metadata__` of its header.
  public let files: [(name: String, metadata: [(key: String, value: String)])]

  /// Opens a folder and reads all headers, and the index.
  ///
  /// - Throws: the first fault: `notFound` for what is absent, `malformed` for what breaks the format,
  ///   each with file, tensor and offset where there is one.
  public init(path: String) throws(FormatError) {
    let inventory = try FormatError.wrapping { () throws(Fault) in
      try Checkpoint(path: path).inventory
    }
    contents = FileContents(inventory)
    tensors = contents.tensors
    files = inventory.shards.map { ($0.name.text, $0.metadata) }
  }

  /// The tensor of a name, byte for byte; nil where there is none.
  public subscript(name: String) -> FileTensor? { contents.tensor(name) }

  /// Throws `malformed` where somebody has written to a file since it was opened: for whoever has
  /// read all that he wants, and is about to trust it.
  public func requireUnchanged() throws(FormatError) { try contents.requireUnchanged() }
}
