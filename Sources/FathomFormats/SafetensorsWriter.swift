internal import Formats
internal import Platform

/// Writes safetensors files: one, or a folder of several with their index.
///
/// What is written depends on the tensors and not on the order in which they are given: files are
/// filled by the names' natural order (`layers.2` before `layers.10`), and in a file the tensors
/// whose size is a multiple of 8 come first, so that each is aligned to its elements. An output
/// appears complete or not at all.
public struct SafetensorsWriter: Sendable {
  /// Hands over the bytes of a tensor, piece by piece. Called once for each, in the order of the file.
  public typealias Source =
    (_ tensor: TensorInfo, _ output: inout TensorOutput) throws(FormatError) -> Void

  /// The tensors that will be written.
  public let tensors: [TensorInfo]
  /// The member `__metadata__` of every header, which there is not where this is empty.
  public let metadata: [(key: String, value: String)]

  /// Says what will be written.
  public init(_ tensors: [TensorInfo], metadata: [(key: String, value: String)] = []) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Writes one file.
  ///
  /// - Parameters:
  ///   - path: its name; the folder around it must be there.
  ///   - overwrite: whether a file of that name is replaced, which stays as it is until the new one is
  ///     complete.
  ///   - source: hands over the bytes.
  /// - Throws: `malformed` for tensors that no such file can hold, before anything is written;
  ///   `cannotCreate` where the name is taken or there is no space, `inputOutput` where the disk
  ///   fails, and what `source` throws. Nothing is left then.
  public func write(
    to path: String, overwrite: Bool = false, source: Source
  ) throws(FormatError) {
    let layout = try layout(shardLimit: .max, for: path)
    guard layout.files.count == 1 else {
      throw FormatError(
        .malformed, "would have too long a header for so many tensors", file: path,
        expected: "a folder of several files")
    }
    let writing = FileWriting(tensors, layout.output)
    try writing.run(to: path, asFolder: false, overwrite: overwrite, source: source)
  }

  /// Writes a folder: `model.safetensors`, or `model-00001-of-0000N.safetensors` and their index.
  ///
  /// - Parameters:
  ///   - path: its name, under which nothing may be yet.
  ///   - shardLimit: most bytes of tensors in one file; a larger tensor gets its own.
  ///   - source: hands over the bytes.
  /// - Throws: as `write(to:overwrite:source:)` does.
  public func writeFolder(
    to path: String, shardLimit: Int = 5_000_000_000, source: Source
  ) throws(FormatError) {
    let layout = try layout(shardLimit: shardLimit, for: path)
    let writing = FileWriting(
      tensors, layout.output, index: layout.index.map { (SafetensorsIndex.fileName, $0) })
    try writing.run(to: path, asFolder: true, overwrite: false, source: source)
  }

  private func layout(
    shardLimit: Int, for path: String
  ) throws(FormatError) -> SafetensorsWriterLayout {
    let entries = try FileWriting.entries(tensors, for: path)
    return try FormatError.wrapping { () throws(Fault) in
      let layout = try SafetensorsWriterLayout(
        entries, shardLimit: shardLimit, metadata: metadata)
      try layout.output.requireReadable()
      return layout
    }
  }
}
