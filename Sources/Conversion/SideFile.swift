internal import Formats
public import Platform

/// A file that is copied as it is: tokenizer, generation settings, licence, model code.
public struct SideFile: Sendable, Hashable {
  /// Its name.
  public let name: ExactText
  /// Where its bytes are.
  public let path: String
  /// Its size.
  public let byteCount: Int

  /// Endings of files that hold weights or speak about their placement; they are not copied.
  private static let weightEndings: [ExactText] = [
    ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".gguf", ".pt", ".pth",
    ".ckpt", ".h5", ".msgpack", ".npz", ".onnx",
  ]

  /// Lists the side files of a folder, in the order of their names.
  ///
  /// - Parameter config: name of the file that describes the network, which is written anew.
  /// - Returns: the files, and a line for each entry that is left out for a reason worth telling.
  static func list(
    in folder: String, except config: ExactText
  ) throws(Fault) -> (files: [SideFile], skipped: [String]) {
    // A manifest and a list of packed files speak of the source alone: the output gets its own
    // manifest, which names that one.
    try list(in: folder) { name in
      name == config || name == PackReport.fileName || ManifestName.isOne(name)
        || weightEndings.contains { ExactText(name.text.lowercased()).hasSuffix($0) }
    }
  }

  /// Lists the files of a folder, but for hidden ones, in the order of their names.
  ///
  /// A link is followed within the folder, and into `../../blobs` of a snapshot in the Hugging Face
  /// cache, where every file is such a link. Any other link could bring a private file of this
  /// machine into an output that is about to be published.
  ///
  /// - Parameter isLeftOut: whether a name is of no concern.
  /// - Returns: the files, and a line for each entry that is left out for a reason worth telling.
  static func list(
    in folder: String, leavingOut isLeftOut: (ExactText) -> Bool
  ) throws(Fault) -> (files: [SideFile], skipped: [String]) {
    var files: [SideFile] = []
    var skipped: [String] = []
    let allowed = try Folder.holders(of: folder)
    for name in try Folder.names(in: folder) {
      if name.hasPrefix(".") || isLeftOut(name) { continue }
      let path = Folder.join(folder, name)
      switch try Folder.kind(of: path) {
      case nil: skipped.append("\(name) is a link to nothing and is not copied")
      case .folder: skipped.append("the folder \(name) is not copied")
      case .special: skipped.append("\(name) is not a regular file and is not copied")
      case .file:
        guard let holder = Folder.holder(of: path), allowed.contains(holder) else {
          skipped.append("\(name) is a link out of the folder and is not copied")
          continue
        }
        files.append(
          SideFile(name: name, path: path, byteCount: try InputFile(path: path).size))
      }
    }
    return (files, skipped)
  }
}
