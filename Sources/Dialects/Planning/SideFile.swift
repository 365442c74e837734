internal import Formats
package import Platform

/// A file that is copied as it is: tokenizer, generation settings, licence, model code.
package struct SideFile: Sendable {
  /// Its name.
  package let name: ExactText
  /// Its size.
  package let byteCount: Int
  private let folder: InputFolder
  /// Which file it was when the folder was looked at.
  private let version: FileVersion

  fileprivate init(_ name: ExactText, _ file: InputFile, in folder: InputFolder) {
    self.name = name
    byteCount = file.size
    self.folder = folder
    version = file.version
  }

  /// Opens it, by the same rules as when it was found.
  ///
  /// - Throws: `.malformed` where another file has its name by now, or it was written to.
  package func open() throws(Fault) -> InputFile {
    let file = try folder.open(name)
    guard file.version == version else {
      throw Fault(
        .malformed, "is not the file any more that was looked at before", file: file.path,
        expected: "\(byteCount) bytes, not written to since",
        found: "another file, or other contents")
    }
    return file
  }

  /// Endings of files that hold weights or speak about their placement; they are not copied.
  private static let weightEndings: [ExactText] = [
    ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".gguf", ".pt", ".pth",
    ".ckpt", ".h5", ".msgpack", ".npz", ".onnx",
  ]

  /// Lists the side files of a folder, in the order of their names.
  ///
  /// - Parameter config: name of the file that describes the network, which is written anew.
  /// - Returns: the files, and a line for each entry that is left out for a reason worth telling.
  package static func list(
    in folder: InputFolder, except config: ExactText
  ) throws(Fault) -> (files: [SideFile], skipped: [String]) {
    // A manifest and a list of packed files speak of the source alone: the output gets its own
    // manifest, which names that one.
    var (files, skipped) = try list(in: folder) { name in
      name == config || name == PackedFile.listName || ManifestName.isOne(name)
        || weightEndings.contains { ExactText(name.text.lowercased()).hasSuffix($0) }
    }
    for file in files {
      guard let nature = try file.placeholder() else { continue }
      skipped.append("\(file.name) is \(nature.name) and is not copied: \(nature.advice)")
      files.removeAll { $0.name == file.name }
    }
    return (files, skipped)
  }

  /// What a download has left in place of the file; nil for the file itself. Any text may be a page or
  /// empty, but for those that programs read.
  package func placeholder() throws(Fault) -> FileNature? {
    guard let nature = try FileNature.of(open()), nature.isPlaceholder else { return nil }
    if case .pointer = nature { return nature }
    // An empty template is one that says nothing.
    if case .empty = nature, name.hasSuffix(".jinja") { return nil }
    let isRead = ModelFileName.part(RawName(name)) == .companion && !name.hasSuffix(".py")
    return isRead ? nature : nil
  }

  /// Lists the files of a folder, but for hidden ones, in the order of their names.
  ///
  /// - Parameters:
  ///   - isLeftOut: whether a name is of no concern.
  ///   - isRequired: whether nothing can be made of the folder without a name.
  /// - Returns: the files, and a line for each entry that is left out for a reason worth telling.
  package static func list(
    in folder: InputFolder, leavingOut isLeftOut: (ExactText) -> Bool,
    requiring isRequired: (ExactText) -> Bool = { _ in false }
  ) throws(Fault) -> (files: [SideFile], skipped: [String]) {
    var files: [SideFile] = []
    let listing = try folder.listing()
    var skipped = listing.unreadable.map { "\($0) has a name that is not UTF-8 and is not copied" }
    for name in listing.names
    where name.utf8.first != UInt8(ascii: ".") && !isLeftOut(ExactText(name.text)) {
      switch try isRequired(ExactText(name.text)) ? .file(folder.open(name)) : folder.entry(name) {
      case .file(let file)?: files.append(SideFile(ExactText(name.text), file, in: folder))
      case .linkToNothing?: skipped.append("\(name) is a link to nothing and is not copied")
      case .folder?: skipped.append("the folder \(name) is not copied")
      case .special?: skipped.append("\(name) is not a regular file and is not copied")
      case .linkOut?: skipped.append("\(name) is a link out of the folder and is not copied")
      case nil: skipped.append("\(name) went away and is not copied")
      }
    }
    return (files, skipped)
  }
}
