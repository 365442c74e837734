internal import Formats
internal import Platform

/// A GGUF file, or a set of splits of which all are there, wholly checked: keys and names are unique,
/// sizes follow from types and shapes, and the tensors lie one after the other with nothing but
/// alignment between them.
///
/// Versions 2 and 3, little-endian, are read. A file that `fathom pack` has written shows what it was
/// packed from.
public struct GGUFFile: Sendable {
  private let contents: FileContents
  /// The tensors, split after split, in the order of their bytes.
  public let tensors: [FileTensor]
  /// Names of the files in their order: one, or those of the splits.
  public let files: [String]
  /// The metadata of the first split, which alone has all of it, without the keys about splits.
  public let metadata: GGUFMetadata

  /// Opens a file; any split of a set opens the set.
  ///
  /// - Throws: `notFound` for a file or split that is absent, `malformed` for what breaks the format
  ///   or does not fit together, with tensor and offset where there is one.
  public init(path: String) throws(FormatError) {
    let files = try FormatError.wrapping { () throws(Fault) in try GGUFFiles(path: path) }
    contents = FileContents(files.inventory)
    tensors = contents.tensors
    self.files = files.inventory.shards.map(\.name.text)
    metadata = GGUFMetadata(files.metadata)
  }

  /// The tensor of a name, byte for byte; nil where there is none.
  public subscript(name: String) -> FileTensor? { contents.tensor(name) }

  /// Throws `malformed` where somebody has written to a file since it was opened: for whoever has
  /// read all that he wants, and is about to trust it.
  public func requireUnchanged() throws(FormatError) { try contents.requireUnchanged() }
}
