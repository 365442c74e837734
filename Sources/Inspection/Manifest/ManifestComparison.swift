package import Formats
package import Platform

/// What of a model was compared with a manifest.
package struct ManifestComparison: Sendable {
  /// The manifest's file.
  package let path: String
  /// BLAKE3 of the manifest: who keeps it somewhere else can tell a manifest that was made anew.
  package let hash: BLAKE3Value
  /// Its version.
  package let schema: String
  /// Tensors by names, types, shapes and contents.
  package let tensors: Coverage
  /// Files: what of weights belongs to no tensor, and all of the others.
  package let files: Coverage

  init(_ checks: ManifestChecks) {
    path = checks.manifest.path
    hash = checks.manifest.hash
    schema = checks.manifest.oldSchema ?? ManifestFile.schema
    (tensors, files) = (checks.tensors, checks.files)
  }

  var json: JSONValue {
    .object([
      "file": .string(path), "blake3": .string(hash.text), "version": .string(schema),
      "tensors": tensors.json, "files": files.json,
    ])
  }

  var line: OutputText {
    "manifest \(path), BLAKE3 \(hash.text): tensors \(tensors.summary); "
      + "files \(files.summary)"
  }
}

extension Validation {
  /// Compares a model with its manifest, too.
  ///
  /// - Parameter progress: called with the bytes that are hashed, and all of them.
  /// - Returns: this validation with what was found.
  /// - Throws: `.inputOutput` where reading fails, `.interrupted`.
  package func checked(
    against manifest: ManifestFile, model path: String, threads: Int,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(Fault) -> Validation {
    let inventory: Inventory
    let place = try ModelPlace(path)
    do throws(Fault) {
      inventory = try Inventory(model: path, threads: threads)
    } catch {
      // What keeps the files from being read stands among the findings already.
      if isValid { throw error }
      return self
    }
    let hashes = try ContentHashes(inventory, threads: threads, progress: progress)
    var checks = ManifestChecks(manifest)
    let isFile = try Folder.kind(of: place.path) == .file
    try checks.run(
      hashes, inventory,
      folder: isFile ? InputFolder(around: place.path) : InputFolder(path: place.path),
      isFolder: place.kind != .gguf)
    return adding(checks.collector.findings, ManifestComparison(checks))
  }
}
