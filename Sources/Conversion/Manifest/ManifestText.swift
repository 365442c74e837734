internal import Dialects
internal import Formats
internal import Platform
internal import Reports
internal import Tensors
internal import Weights

/// The manifest of an output (schema `fathom.manifest/2`): every byte of its files, what its tensors
/// were made from and why they have their types. Its last member is the hash of what stands before.
///
/// Nothing of it depends on time, threads, memory or interruptions. Hashes have one length, so that
/// its size is known before any of them is.
struct ManifestText {
  /// What is known when a conversion is done.
  struct Hashes {
    /// Of the bytes of stored tensors, nil for those that are not used.
    let source: [BLAKE3Value?]
    /// Of the bytes of the output's tensors.
    let output: [BLAKE3Value?]
    /// Of the files that are not weights.
    var files: [ExactText: BLAKE3Value] = [:]
    /// Of the source's own manifest.
    var sourceManifest: BLAKE3Value?
    /// Of the importance matrix.
    var importance: BLAKE3Value?
  }

  let recipe: Recipe
  let output: PlannedOutput
  let files: [PlannedFile]
  let inventory: Inventory
  let source: PlannedManifest.Source

  /// Stands where a hash will.
  private static let blank = String(repeating: "0", count: 2 * BLAKE3Value.byteCount)

  /// Gives out a list: its key, how many tensors it has, and what adds the members of one.
  private typealias TensorList = (
    _ key: String, _ count: Int, _ add: @Sendable (_ tensor: Int, _ line: inout JSONLine) -> Void
  ) throws(Fault) -> Void

  /// Gives the text out in pieces, all but its end.
  ///
  /// - Parameters:
  ///   - hashes: nil for blanks of the same length.
  ///   - list: gives out the lists of tensors.
  private func writeBody(
    _ hashes: Hashes?, _ write: (OutputText) throws(Fault) -> Void, list: TensorList
  ) throws(Fault) {
    let stored = inventory.tensors.enumerated().map { index, tensor in
      source.isUsed[index]
        ? hashes.map { hashes in
          hashes.source[index].map { TensorHash(tensor, bytes: $0) }
        } : nil
    }
    let made = hashes.map { self.made($0) }
    try write("{\n  \"schema\": \"fathom.manifest/2\",\n  \"tool\": ")
    try write(
      JSONValue.object(["name": .string("fathom"), "version": .string(FathomVersion.text)])
        .printed(indent: nil))
    try write(",\n  \"recipe\": " + JSONValue.object(recipeJSON(hashes)).printed(indent: nil))
    try write(
      ",\n  \"notices\": "
        + JSONValue.array(output.notices.map { .string($0) }).printed(indent: nil))
    let isWhole = !source.isUsed.contains(false)
    let checkpoint = hashes.map { _ in ContentHashes(stored.compactMap { $0 ?? nil }).checkpoint }
    try write(
      ",\n  \"source\": "
        + open([
          "name": .string(source.name.text), "format": .string(source.format.rawValue),
          "manifest": source.manifest == nil ? .null : text(hashes?.sourceManifest),
          "checkpoint": isWhole ? text(checkpoint) : .null,
        ]))
    try list("tensors", inventory.tensors.count) { index, line in
      let tensor = inventory.tensors[index]
      add(
        tensor.name, tensor.type, tensor.shape, tensor.byteCount,
        source.isUsed[index] ? digits(stored[index]??.hash) : nil, to: &line)
    }
    try write(
      "\n  },\n  \"output\": "
        + open([
          "checkpoint": text(made.map { ContentHashes($0).checkpoint })
        ]))
    let headers = hashes == nil ? blankHeaders : self.headers
    try StreamedJSON.list("files", depth: 2, files, write) { file in
      .object([
        "name": .string(file.name.text), "bytes": .integer(file.byteCount),
        "kind": .string(file.kind.rawValue),
        "hash": file.kind == .weights ? .null : text(hashes?.files[file.name]),
        "header": headers[file.name].map { .string($0.text) } ?? .null,
      ])
    }
    let places = placed
    try list("tensors", places.count) { index, line in
      let tensor = output.tensors[places[index].tensor]
      add(
        places[index].name, tensor.entry.storedType, tensor.entry.storedShape,
        tensor.entry.byteCount, digits(made?[index].hash), to: &line)
      line.add("decision", tensor.treatment.rawValue)
      line.add("rows", tensor.assembly.arrangement)
      line.add("reason", tensor.reason)
      line.add("sources", tensor.sources.map { inventory.tensors[$0.index].name.text })
    }
    try write("\n  }")
  }

  /// Bytes of the text.
  func byteCount(threads: Int) -> Int {
    var count = 0
    func add(_ piece: OutputText) throws(Fault) { count += piece.text.utf8.count }
    // Counting cannot fail.
    try? writeBody(nil, add) { (key, tensors, line) throws(Fault) in
      count += StreamedJSON.byteCount(
        ofList: key, depth: 2, lines: tensors, threads: threads, line)
    }
    return count + ManifestSeal.byteCount
  }

  /// Writes the text to a file.
  ///
  /// - Parameter byteCount: its size, which is known.
  /// - Returns: the hash of all of it.
  func write(
    _ hashes: Hashes, byteCount: Int, to file: OutputFile
  ) throws(Fault) -> BLAKE3Value {
    var body = BLAKE3Stream(byteCount: byteCount - ManifestSeal.byteCount)
    var whole = BLAKE3Stream(byteCount: byteCount)
    var pending: [UInt8] = []
    func flush() throws(Fault) {
      pending.withUnsafeBytes { whole.append($0) }
      try file.append(pending)
      pending.removeAll(keepingCapacity: true)
    }
    func write(_ piece: OutputText) throws(Fault) {
      pending += piece.text.utf8
      guard pending.count > 1 << 16 else { return }
      pending.withUnsafeBytes { body.append($0) }
      try flush()
    }
    try writeBody(hashes, write) { (key, tensors, add) throws(Fault) in
      try StreamedJSON.list(key, depth: 2, lines: 0..<tensors, write, add)
    }
    pending.withUnsafeBytes { body.append($0) }
    pending += ManifestSeal.text(body.value()).utf8
    try flush()
    return whole.value()
  }

  /// Of each file of weights, the hash of what belongs to no tensor: it follows from the plan.
  private var headers: [ExactText: BLAKE3Value] {
    Dictionary(
      uniqueKeysWithValues: output.layout.files.map {
        ($0.name, Remainder.hash(of: $0, in: output.layout))
      })
  }

  /// Stands where those will.
  private var blankHeaders: [ExactText: BLAKE3Value] {
    let blank = BLAKE3.hash([])
    return Dictionary(uniqueKeysWithValues: output.layout.files.map { ($0.name, blank) })
  }

  /// The output's tensors in the order of their bytes, under the names that a reader of all files
  /// gives them.
  private var placed: [(tensor: Int, name: ExactText)] {
    output.layout.files.flatMap { file in
      let prefix = NativeShardName(file.name).map { $0.stem + "/" } ?? ""
      return file.tensors.map { ($0, prefix + output.tensors[$0].entry.name) }
    }
  }

  private func made(_ hashes: Hashes) -> [TensorHash] {
    placed.map { tensor, name in
      let entry = output.tensors[tensor].entry
      guard let bytes = hashes.output[tensor] else {
        preconditionFailure("every tensor of an output that is complete passed by")
      }
      return TensorHash(
        name: name, type: entry.storedType, shape: entry.storedShape,
        byteCount: entry.byteCount, bytes: bytes)
    }
  }

  /// The recipe without paths of this machine.
  private func recipeJSON(_ hashes: Hashes?) -> JSONObject {
    var json = recipe.portableJSON
    if let name = json["importanceMatrix"] {
      json["importanceMatrix"] = .object(["name": name, "hash": text(hashes?.importance)])
    }
    return json
  }

  private func text(_ hash: BLAKE3Value?) -> JSONValue { .string(digits(hash)) }

  private func digits(_ hash: BLAKE3Value?) -> String { hash?.text ?? ManifestText.blank }

  private func add(
    _ name: ExactText, _ type: ElementType, _ shape: Shape, _ byteCount: Int, _ hash: String?,
    to line: inout JSONLine
  ) {
    line.add("name", name.text)
    line.add("type", type.rawValue)
    line.add("shape", shape.dimensions)
    line.add("bytes", byteCount)
    line.add("hash", hash)
  }

  /// An object whose last members follow.
  private func open(_ object: JSONObject) -> OutputText {
    OutputText(document: String(JSONValue.object(object).printed(indent: nil).text.dropLast()))
  }
}
