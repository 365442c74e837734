internal import Formats
internal import Platform

/// One safetensors file, read strictly: it exists as a value only if names are unique, sizes follow
/// from types and shapes, and tensors fill the file without holes or overlaps.
///
/// A file that `fathom pack` has written shows what it was packed from.
public struct SafetensorsFile: Sendable {
  private let contents: FileContents
  /// The tensors in the order of their bytes.
  public let tensors: [FileTensor]
  /// The header's `__metadata__` in its order; a value that is no string stands as JSON.
  public let metadata: [(key: String, value: String)]

  /// Opens a file and reads its header.
  ///
  /// - Throws: `notFound` or `inputOutput` where it cannot be read, `malformed` where it breaks the
  ///   format or is cut short, with tensor and offset where there is one.
  public init(path: String) throws(FormatError) {
    let inventory = try FormatError.wrapping { () throws(Fault) in
      try Inventory(safetensorsFile: path)
    }
    contents = FileContents(inventory)
    tensors = contents.tensors
    metadata = inventory.shards.first?.metadata ?? []
  }

  /// The tensor of a name, byte for byte; nil where there is none.
  public subscript(name: String) -> FileTensor? { contents.tensor(name) }

  /// Throws `malformed` where somebody has written to the file since it was opened: for whoever has
  /// read all that he wants, and is about to trust it.
  public func requireUnchanged() throws(FormatError) { try contents.requireUnchanged() }
}
