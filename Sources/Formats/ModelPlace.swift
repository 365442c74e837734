package import Platform
internal import Tensors

/// What a MODEL argument leads to: itself, or what it is a way to name, such as the root of a model in
/// the Hugging Face cache, or a folder of GGUF splits.
package struct ModelPlace: Sendable {
  /// What lies there.
  package enum Kind: Sendable, Hashable {
    /// A GGUF file.
    case gguf
    /// A folder of safetensors files, or one of them.
    case safetensors
    /// A JSON document, which can only be a config.
    case config
  }

  /// The file or folder to open.
  package let path: String
  /// What it is, by the contents; what is not there is left to whoever opens it.
  package let kind: Kind

  /// Looks at what a path names.
  ///
  /// - Throws: `.usage` where it names several models, `.notFound` and `.inputOutput` where it cannot
  ///   be looked at.
  package init(_ argument: String) throws(Fault) {
    guard try Folder.kind(of: argument) == .folder else {
      path = argument
      let isConfig = argument.hasSuffix(".json") && argument.utf8.count > 5
      kind = try ModelFormat.isGGUF(argument) ? .gguf : isConfig ? .config : .safetensors
      return
    }
    let folder = try HubCache.snapshot(in: argument) ?? argument
    if let file = try GGUFFolder.file(in: InputFolder(path: folder)) {
      (path, kind) = (Folder.join(folder, file), .gguf)
    } else {
      (path, kind) = (folder, .safetensors)
    }
  }

  /// Throws `.malformed` for a config without weights.
  package func requireWeights() throws(Fault) {
    guard kind == .config else { return }
    // A document that is none says what it is first.
    let file = try InputFolder(around: path).open(Folder.name(of: path))
    if let nature = try FileNature.of(file), nature != .json { throw nature.fault(file: path) }
    var fault = Fault(
      .malformed, "is a config, and weights are needed", file: path,
      expected: "the folder that has both")
    fault.advice = "\"fathom inspect\" says what a config alone implies"
    throw fault
  }
}

/// The cache of Hugging Face's programs: `models--ORG--NAME` with `refs`, `snapshots` and `blobs`.
enum HubCache {
  /// The snapshot that the root of a model in the cache stands for: that of `refs/main`, or the only
  /// one; nil for any other folder.
  ///
  /// - Throws: `.usage` where there are several, or the folder is the cache with several models.
  static func snapshot(in path: String) throws(Fault) -> String? {
    let names = try Folder.listing(of: path).names
    let models = names.filter { $0.hasPrefix("models--") }
    if !models.isEmpty, !names.contains("config.json") {
      throw several("is a cache of Hugging Face's programs", path, models)
    }
    guard names.contains("snapshots"), names.contains("refs") || names.contains("blobs") else {
      return nil
    }
    let snapshots = Folder.join(path, "snapshots")
    let present = try Folder.listing(of: snapshots).names
    if names.contains("refs"),
      let bytes = try InputFolder(path: Folder.join(path, "refs")).contents(
        of: "main", limit: 1024)
    {
      let words = String(decoding: bytes, as: UTF8.self).split { $0.isWhitespace }
      let revision = ExactText(words.first.map(String.init) ?? "")
      guard Folder.isPlain(revision), present.contains(revision) else {
        var fault = Fault(
          .notFound, "names a snapshot that is not in the cache",
          file: Folder.join(path, "refs/main"), expected: "one of snapshots", found: revision.text)
        fault.advice = "a download was interrupted: run \"hf download\" again"
        throw fault
      }
      return Folder.join(snapshots, revision)
    }
    guard present.count == 1 else {
      throw several("holds several snapshots and no refs/main", path, present)
    }
    return Folder.join(snapshots, present[0])
  }

  /// The fault of a folder with several models.
  static func several(_ message: String, _ path: String, _ names: [ExactText]) -> Fault {
    let more = names.count > 5 ? " and \(names.count - 5) more" : ""
    return Fault(
      .usage, message, file: path,
      expected: "one of \(names.prefix(5).map(\.text).joined(separator: ", "))\(more)")
  }
}

/// A folder whose model is a GGUF file, or a set of splits.
enum GGUFFolder {
  /// The file to open; nil where the folder holds safetensors files or no GGUF file.
  ///
  /// Files that say in their metadata that they are no model of their own (a projector of images, an
  /// importance matrix, an adapter) do not count beside one that is.
  ///
  /// - Throws: `.usage` where there are several models.
  static func file(in folder: InputFolder) throws(Fault) -> ExactText? {
    let names = try folder.listing().names
    let isSafetensors = names.contains {
      $0.hasSuffix(".safetensors") || $0.hasSuffix(".safetensors.index.json")
        || $0 == PackedFile.listName
    }
    let files = names.filter { $0.hasSuffix(".gguf") }
    guard !isSafetensors, !files.isEmpty else { return nil }
    var models: [ExactText: ExactText] = [:]
    for name in files {
      // Sorted by their bytes, the first split comes first.
      let set = GGUFSplitName(name).map { "\($0.stem)/\($0.count)" as ExactText } ?? name
      if models[set] == nil { models[set] = name }
    }
    var chosen = models.values.sorted()
    if chosen.count > 1 { chosen = chosen.filter { isModel($0, in: folder) } }
    guard chosen.count <= 1 else {
      throw HubCache.several("holds several GGUF models", folder.path, chosen)
    }
    return chosen.first ?? models.values.sorted().first
  }

  private static func isModel(_ name: ExactText, in folder: InputFolder) -> Bool {
    guard let file = try? folder.open(name), let header = try? GGUFHeader(file, shard: 0) else {
      return true
    }
    let kind = header.metadata["general.type"]?.text
    return kind == nil || kind == "model"
  }
}
