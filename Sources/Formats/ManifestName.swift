package import Platform

/// Where the manifest of a model lies: the document that says which tensors it holds and what they
/// were made from (schema `fathom.manifest/1`).
package enum ManifestName {
  /// Its name in a folder that is a model; what stands before it names a file that is one.
  package static let folder: ExactText = "fathom-manifest.json"

  /// Largest manifest, or list of hashes, that is read, and so that is written: twice the manifest of
  /// DeepSeek-V3's 91,991 tensors.
  package static let sizeLimit = 128 << 20

  /// The name beside a GGUF file, or beside the splits of one, which share it: `v3.gguf` and
  /// `v3-00001-of-00003.gguf` have `v3.fathom-manifest.json`.
  package static func beside(_ file: ExactText) -> ExactText {
    let stem = GGUFSplitName(file)?.stem ?? file.without(suffix: ".gguf") ?? file
    return "\(stem).\(folder)"
  }

  /// Whether a file's name is that of a manifest.
  package static func isOne(_ name: ExactText) -> Bool {
    name == folder || name.hasSuffix(".\(folder)")
  }

  /// Where the manifest of a MODEL argument lies, whether it is there or not.
  ///
  /// - Throws: `.notFound` and `.inputOutput` where the model cannot be looked at.
  package static func place(
    forModel path: String
  ) throws(Fault) -> (folder: InputFolder, name: ExactText) {
    let place = try ModelPlace(path)
    let name = place.kind == .gguf ? beside(Folder.name(of: place.path)) : folder
    let isFile = try Folder.kind(of: place.path) == .file
    return (try isFile ? InputFolder(around: place.path) : InputFolder(path: place.path), name)
  }
}
