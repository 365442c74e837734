internal import Conversion
internal import Formats
internal import Platform
internal import Reports
internal import Tensors

/// The rule about manifests: the model's tensors and files are those that its conversion wrote, every
/// byte of them, and nothing lies beside them.
struct ManifestChecks {
  let manifest: ManifestFile
  private(set) var collector = FindingCollector()
  /// Tensors and files that were compared.
  private(set) var tensors = Coverage()
  private(set) var files = Coverage()

  init(_ manifest: ManifestFile) { self.manifest = manifest }

  private var file: String { Folder.name(of: manifest.path).text }

  /// Compares names, types, shapes and contents of all tensors, the rest of their files, and the
  /// files beside them.
  ///
  /// - Parameters:
  ///   - folder: where the model's files lie.
  ///   - isFolder: whether the folder is the model, and not a place where it lies among others.
  /// - Throws: `.inputOutput` where a file cannot be read, `.interrupted`.
  mutating func run(
    _ hashes: ContentHashes, _ inventory: Inventory, folder: InputFolder, isFolder: Bool
  ) throws(Fault) {
    let names = Set(manifest.tensors.map { $0.name })
    if !hashes.tensors.isEmpty,
      !hashes.tensors.contains(where: { names.contains($0.name) })
    {
      let expected = manifest.tensors.first.map { " such as \($0.name)" } ?? ""
      collector.add(
        Finding(
          .manifestMismatch, file: file,
          expected: "\(Quantity.plural(manifest.tensors.count, "tensor"))\(expected)",
          found: "none of them", hint: "the manifest is that of another model"), pattern: nil)
      return
    }
    compareTensors(hashes, inventory)
    try compareWeights(inventory)
    for planned in manifest.files where planned.hash != nil {
      try check(planned, in: folder)
    }
    if isFolder { try lookForStrangers(in: folder, inventory) }
  }

  // MARK: Tensors

  private mutating func compareTensors(_ hashes: ContentHashes, _ inventory: Inventory) {
    // What is there stands in a file of the model; what is missing stands in the manifest alone.
    func holder(_ name: ExactText) -> String {
      inventory[name].map { inventory.shards[$0.shard].name.text } ?? file
    }
    var rest = Dictionary(
      uniqueKeysWithValues: manifest.tensors.enumerated().map { ($1.name, $0) })
    for tensor in hashes.tensors {
      guard let index = rest.removeValue(forKey: tensor.name) else {
        tensors.add(.unexpected, tensor.name)
        add(
          "unexpected", tensor.name, in: holder(tensor.name), expected: "no such tensor",
          found: tensor.type.rawValue)
        continue
      }
      compare(tensor, manifest.tensors[index], in: holder(tensor.name))
    }
    for tensor in manifest.tensors where rest[tensor.name] != nil {
      tensors.add(.missing, tensor.name)
      add(
        "missing", tensor.name, in: file, expected: tensor.type, found: "no such tensor")
    }
  }

  private mutating func compare(
    _ found: TensorHash, _ expected: ManifestFile.Tensor, in file: String
  ) {
    let isSameKind =
      found.type.rawValue == expected.type && found.shape.dimensions == expected.shape
    tensors.compare(found.name, isSame: isSameKind && found.hash == expected.hash)
    if found.type.rawValue != expected.type {
      add("type", found.name, in: file, expected: expected.type, found: found.type.rawValue)
    } else if !isSameKind {
      add("shape", found.name, in: file, expected: "\(expected.shape)", found: "\(found.shape)")
    } else if found.hash != expected.hash {
      add(
        "hash", found.name, in: file, expected: "hash \(expected.hash.text)",
        found: found.hash.text, hint: "the tensor has changed since the conversion wrote it")
    }
  }

  private mutating func add(
    _ kind: String, _ tensor: ExactText, in file: String, expected: String, found: String,
    hint: String? = nil
  ) {
    let pattern = "\(kind) \(FindingCollector.pattern(of: tensor, wholeExperts: true))"
    collector.add(
      Finding(
        .manifestMismatch, tensor: tensor, file: file, expected: expected, found: found,
        hint: hint), pattern: pattern)
  }

  // MARK: Files of weights

  /// Compares sizes and all that belongs to no tensor: headers, metadata, padding.
  private mutating func compareWeights(_ inventory: Inventory) throws(Fault) {
    let planned = manifest.files.filter { $0.hash == nil }
    let shards = inventory.shards
    var places = Dictionary(
      uniqueKeysWithValues: shards.enumerated().map { ($1.name, $0) })
    // A model that is one file may have another name now: that is what the user called it.
    if planned.count == 1, shards.count == 1 { places = [planned[0].name: 0] }
    for file in planned {
      guard let shard = places.removeValue(forKey: file.name) else {
        files.add(.missing, file.name)
        add(file, expected: "\(file.byteCount) bytes", found: "no such file among the weights")
        continue
      }
      try compare(inventory, shard, file)
    }
    for shard in places.values.sorted() {
      files.add(.unexpected, shards[shard].name)
      collector.add(
        Finding(
          .manifestMismatch, file: shards[shard].name.text, expected: "no such file",
          found: "\(shards[shard].file.size) bytes of weights"), pattern: nil)
    }
    guard let old = manifest.oldSchema else { return }
    collector.add(
      Finding(
        .manifestMismatch, .warning, file: self.file, expected: ManifestFile.schema, found: old,
        hint: "an old manifest: the headers and metadata of "
          + "\(Quantity.plural(planned.count, "file")) are not compared, tensors and sizes are"),
      pattern: nil)
  }

  private mutating func compare(
    _ inventory: Inventory, _ shard: Int, _ planned: ManifestFile.File
  ) throws(Fault) {
    let file = inventory.shards[shard].file
    guard file.size == planned.byteCount else {
      files.compare(planned.name, isSame: false)
      return add(planned, expected: "\(planned.byteCount) bytes", found: "\(file.size) bytes")
    }
    guard let header = planned.header else {
      return files.pass(over: "header of \(planned.name)")
    }
    let found = try Remainder.hash(ofShard: shard, in: inventory)
    files.compare(planned.name, isSame: found == header)
    if found != header {
      collector.add(
        Finding(
          .manifestMismatch, file: planned.name.text,
          expected: "header and metadata \(header.text)",
          found: found.text,
          hint: "what stands outside of the tensors has changed since the conversion wrote it"),
        pattern: nil)
    }
  }

  // MARK: Files beside them

  private mutating func check(
    _ planned: ManifestFile.File, in folder: InputFolder
  ) throws(Fault) {
    let file: InputFile
    switch try folder.entry(planned.name) {
    case .file(let found)?: file = found
    case .linkOut?:
      files.compare(planned.name, isSame: false)
      return add(planned, found: "a link out of the folder")
    default:
      files.add(.missing, planned.name)
      return add(planned, found: "no such file")
    }
    guard file.size == planned.byteCount else {
      files.compare(planned.name, isSame: false)
      return add(
        planned, expected: "\(planned.byteCount) bytes", found: "\(file.size) bytes")
    }
    let hash = try BLAKE3Stream.hash(of: file)
    files.compare(planned.name, isSame: hash == planned.hash)
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

  /// What lies in the model's folder and was not written by the conversion: loaders run code and
  /// templates that they find.
  private mutating func lookForStrangers(
    in folder: InputFolder, _ inventory: Inventory
  ) throws(Fault) {
    var expected = Set(manifest.files.map { $0.name })
    for shard in inventory.shards { expected.insert(shard.name) }
    try checkOwnManifest(in: folder)
    expected.insert(ManifestName.folder)
    if inventory.shards.contains(where: \.file.showsAnother) {
      expected.insert(PackedFile.listName)
    }
    let (unexpected, hidden) = try Coverage.strangers(in: folder.path, expected: expected)
    for name in unexpected {
      files.add(.unexpected, name)
      let isFolder = try Folder.kind(of: folder.place(of: name)) == .folder
      collector.add(
        Finding(
          .manifestMismatch, file: name.text, expected: "no such \(isFolder ? "folder" : "file")",
          found: "one that the conversion did not write",
          hint: "remove it: loaders use code, templates and weights that they find"),
        pattern: nil)
    }
    for name in hidden {
      files.pass(over: name)
      collector.add(
        Finding(
          .manifestMismatch, .warning, file: name.text, expected: "nothing hidden",
          found: "\(name)",
          hint: "hidden entries are no part of the model and are not compared"), pattern: "hidden")
    }
  }

  /// The manifest that lies in the folder must be the one that the model is compared with.
  private mutating func checkOwnManifest(in folder: InputFolder) throws(Fault) {
    guard case .file(let own)? = try folder.entry(ManifestName.folder) else { return }
    let hash = try BLAKE3Stream.hash(of: own)
    files.compare(ManifestName.folder, isSame: hash == manifest.hash)
    guard hash != manifest.hash else { return }
    collector.add(
      Finding(
        .manifestMismatch, file: ManifestName.folder.text, expected: "hash \(manifest.hash.text)",
        found: hash.text, hint: "the folder has another manifest than the one it is compared with"),
      pattern: nil)
  }
}
