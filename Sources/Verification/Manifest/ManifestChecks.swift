internal import Formats
public import Platform
internal import Tensors

/// The rule about manifests: the model's tensors and files are those that its conversion wrote.
struct ManifestChecks {
  let manifest: ManifestFile
  private(set) var collector = FindingCollector()

  init(_ manifest: ManifestFile) { self.manifest = manifest }

  private var file: String { Folder.name(of: manifest.path).text }

  /// Compares names, types, shapes and contents of all tensors, and the files beside them.
  ///
  /// - Parameter folder: where the model's files lie.
  /// - Throws: `.inputOutput` where a file cannot be read, `.interrupted`.
  mutating func run(_ hashes: ContentHashes, folder: InputFolder) throws(Fault) {
    var rest = Dictionary(
      uniqueKeysWithValues: manifest.tensors.enumerated().map { ($1.name, $0) })
    if !hashes.tensors.isEmpty, !hashes.tensors.contains(where: { rest[$0.name] != nil }) {
      let expected = manifest.tensors.first.map { " such as \($0.name)" } ?? ""
      collector.add(
        Finding(
          .manifestMismatch, file: file,
          expected: "\(Quantity.plural(manifest.tensors.count, "tensor"))\(expected)",
          found: "none of them", hint: "the manifest is that of another model"), pattern: nil)
      return
    }
    for tensor in hashes.tensors {
      guard let index = rest.removeValue(forKey: tensor.name) else {
        add("unexpected", tensor.name, expected: "no such tensor", found: tensor.type.rawValue)
        continue
      }
      compare(tensor, manifest.tensors[index])
    }
    for tensor in manifest.tensors where rest[tensor.name] != nil {
      add("missing", tensor.name, expected: tensor.type, found: "no such tensor")
    }
    for file in manifest.files where file.hash != nil { try check(file, in: folder) }
  }

  private mutating func compare(_ found: TensorHash, _ expected: ManifestFile.Tensor) {
    if found.type.rawValue != expected.type {
      add("type", found.name, expected: expected.type, found: found.type.rawValue)
    } else if found.shape.dimensions != expected.shape {
      add("shape", found.name, expected: "\(expected.shape)", found: "\(found.shape)")
    } else if found.hash != expected.hash {
      add(
        "hash", found.name, expected: "hash \(expected.hash.text)",
        found: found.hash.text, hint: "the tensor has changed since the conversion wrote it")
    }
  }

  private mutating func add(
    _ kind: String, _ tensor: ExactText, expected: String, found: String, hint: String? = nil
  ) {
    let pattern = "\(kind) \(FindingCollector.pattern(of: tensor, wholeExperts: true))"
    collector.add(
      Finding(
        .manifestMismatch, tensor: tensor, file: file, expected: expected, found: found,
        hint: hint), pattern: pattern)
  }

  private mutating func check(
    _ planned: ManifestFile.File, in folder: InputFolder
  ) throws(Fault) {
    let file: InputFile
    switch try folder.entry(planned.name) {
    case .file(let found)?: file = found
    case .linkOut?: return add(planned, found: "a link out of the folder")
    default: return add(planned, found: "no such file")
    }
    guard file.size == planned.byteCount else {
      return add(
        planned, expected: "\(planned.byteCount) bytes", found: "\(file.size) bytes")
    }
    let hash = try BLAKE3Stream.hash(of: file)
    if hash != planned.hash { add(planned, found: hash.text) }
  }

  private mutating func add(
    _ planned: ManifestFile.File, expected: String? = nil, found: String
  ) {
    collector.add(
      Finding(
        .manifestMismatch, file: planned.name.text,
        expected: expected ?? "hash \(planned.hash?.text ?? "")", found: found,
        hint: "the file has changed since the conversion wrote it"), pattern: nil)
  }
}

extension Validation {
  /// Compares a model with its manifest, too.
  ///
  /// - Parameter progress: called with the bytes that are hashed, and all of them.
  /// - Returns: this validation with what was found.
  /// - Throws: `.inputOutput` where reading fails, `.interrupted`.
  public func checked(
    against manifest: ManifestFile, model path: String, threads: Int,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(Fault) -> Validation {
    let inventory: Inventory
    do throws(Fault) {
      inventory = try Inventory(model: path, threads: threads)
    } catch {
      // What keeps the files from being read stands among the findings already.
      if isValid { throw error }
      return self
    }
    let hashes = try ContentHashes(inventory, threads: threads, progress: progress)
    var checks = ManifestChecks(manifest)
    let isFile = try Folder.kind(of: path) == .file
    try checks.run(
      hashes, folder: isFile ? InputFolder(around: path) : InputFolder(path: path))
    return adding(checks.collector.findings)
  }
}
