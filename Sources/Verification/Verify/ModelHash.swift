package import Formats
internal import Inspection
package import Passes
package import Platform
internal import Tensors

/// What tells a model from others, as far as that is known without reading its weights.
package struct ModelHash: Sendable, Hashable {
  /// What was hashed; raw values are the words of reports.
  package enum Subject: String, Sendable {
    /// All tensors, as `fathom hash` does: it is taken from the manifest beside the model, whose
    /// tensors and files have the names, types, shapes and sizes that are there.
    case contents
    /// Names, types, shapes and places of all tensors, and the config: not their values.
    case headers
    /// A baseline's file.
    case file
  }

  /// What was hashed.
  package let subject: Subject
  /// BLAKE3 of it.
  package let hash: BLAKE3Value

  /// Makes a record.
  package init(_ subject: Subject, _ hash: BLAKE3Value) {
    (self.subject, self.hash) = (subject, hash)
  }

  /// Of a model that is open.
  ///
  /// - Parameter path: the MODEL argument, beside which a manifest is looked for. One that cannot be
  ///   used is passed over: a report of other things does without.
  package init(_ path: String, _ inventory: Inventory, config: JSONValue) {
    if let hash = ModelHash.stated(path, inventory) {
      self.init(.contents, hash)
      return
    }
    let rows = inventory.tensors.map { tensor in
      // The length tells where a name ends, whatever is in it.
      "\(inventory.shards[tensor.shard].name) \(tensor.name.utf8.count) \(tensor.name) "
        + "\(tensor.type.rawValue) \(tensor.shape) \(tensor.offset)\n"
    }
    self.init(.headers, BLAKE3.hash(Array((rows.joined() + config.text(indent: nil)).utf8)))
  }

  /// Of a baseline.
  ///
  /// - Throws: `.inputOutput` where it cannot be read.
  init(baseline path: String) throws(Fault) {
    self.init(.file, try BLAKE3Stream.hash(of: InputFile(path: path)))
  }

  /// See `init(_:_:config:)`.
  package init(_ path: String, _ files: ModelFiles) {
    self.init(path, files.inventory, config: files.checkpoint.config)
  }

  private static func stated(_ path: String, _ inventory: Inventory) -> BLAKE3Value? {
    guard let place = try? ManifestName.place(forModel: path),
      let file = try? place.folder.find(place.name), let manifest = try? ManifestFile(file)
    else { return nil }
    return manifest.contents(of: inventory)
  }

  /// The hash and what it is of.
  package var text: String {
    switch subject {
    case .contents:
      "BLAKE3 \(hash.text) of all tensors, by the manifest beside it; not read again"
    case .headers: "BLAKE3 \(hash.text) of its headers and config, not of its weights"
    case .file: "BLAKE3 \(hash.text) of the file"
    }
  }

  /// As a member of `hashes` in reports.
  package var json: JSONValue {
    .object(["of": .string(subject.rawValue), "blake3": .string(hash.text)])
  }
}

extension VerifyReport {
  /// BLAKE3 of all ids, sequence by sequence, as numbers of 32 bits with the low byte first.
  package var tokenHash: BLAKE3Value {
    BLAKE3.hash(
      sequences.joined().flatMap { id in
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: id).littleEndian) { Array($0) }
      })
  }

  /// What the report is about, each with its hash.
  package var traces: [(name: String, text: String)] {
    [("reference", hashes.reference), ("candidate", hashes.candidate)].compactMap { name, hash in
      hash.map { (name, $0.text) }
    } + [("tokens", "BLAKE3 \(tokenHash.text) of the ids as numbers of 32 bits")]
  }
}
