internal import Formats
internal import Platform

/// Writes GGUF files: one, or a set of splits as llama.cpp has them.
///
/// Metadata and tensors stand in the order given, aligned to 32 bytes. An output appears complete or
/// not at all; of a set of splits the first one gets its name last, without which no reader takes
/// the others for a model.
public struct GGUFWriter: Sendable {
  /// Hands over the bytes of a tensor, piece by piece. Called once for each, in the order of the file.
  public typealias Source =
    (_ tensor: TensorInfo, _ output: inout TensorOutput) throws(FormatError) -> Void

  /// Most bytes of a tensor's name, and most of its dimensions, that GGML reads.
  private static let (nameLimit, rankLimit) = (63, 4)
  /// What tensors are aligned to.
  private static let alignment: UInt32 = 32

  /// The tensors that will be written, in their order.
  public let tensors: [TensorInfo]
  /// Everything beside them.
  public let metadata: GGUFMetadata

  /// Says what will be written.
  public init(_ tensors: [TensorInfo], metadata: GGUFMetadata) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Writes a file.
  ///
  /// - Parameters:
  ///   - path: its name; splits add `-00001-of-0000N` to it. The folder around it must be there.
  ///   - splitLimit: most bytes of tensors in one split, a larger tensor having its own; nil for one
  ///     file.
  ///   - overwrite: whether files of those names are replaced, which stay as they are until the new
  ///     ones are complete.
  ///   - source: hands over the bytes.
  /// - Throws: `malformed` for tensors or metadata that no such file can hold, before a tensor is
  ///   written; `cannotCreate` where a name is taken or there is no space, `inputOutput` where the
  ///   disk fails, and what `source` throws. Nothing is left then.
  public func write(
    to path: String, splitLimit: Int? = nil, overwrite: Bool = false, source: Source
  ) throws(FormatError) {
    let entries = try FileWriting.entries(tensors, for: path)
    for tensor in tensors { try require(tensor, for: path) }
    if let value = metadata["general.alignment"], value != .uint32(GGUFWriter.alignment) {
      throw FormatError(
        .malformed, "has another general.alignment than is written", file: path,
        expected: "\(GGUFWriter.alignment) as uint32, or none")
    }
    let layout = try FormatError.wrapping { () throws(Fault) in
      let layout = try GGUFWriterLayout.layout(
        entries, metadata: metadata.inner, name: Folder.name(of: path),
        division: .limit(splitLimit ?? .max))
      try layout.requireReadable()
      return layout
    }
    let writing = FileWriting(tensors, layout)
    try writing.run(to: path, asFolder: false, overwrite: overwrite, source: source)
  }

  private func require(_ tensor: TensorInfo, for path: String) throws(FormatError) {
    guard tensor.type.ggmlNumber != nil, tensor.shape.count <= GGUFWriter.rankLimit,
      tensor.name.utf8.count <= GGUFWriter.nameLimit
    else {
      throw FormatError(
        .malformed, "cannot stand in a GGUF file", file: path, tensor: tensor.name,
        expected: "a type that GGML has, at most \(GGUFWriter.rankLimit) dimensions and "
          + "\(GGUFWriter.nameLimit) bytes of name",
        found: "\(tensor.type) \(tensor.shape)")
    }
  }
}
