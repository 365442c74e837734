package import Platform

/// What a pass over a model's layers has safely on the disk, so that another run goes on behind it: a
/// line of the journal of its work folder.
package struct KeptPass: Sendable, Hashable {
  /// A file with the states behind the last of those layers.
  package struct States: Sendable, Hashable {
    /// Its name.
    package let name: ExactText
    /// Its bytes and their checksum.
    package let sum: CRC32C
    /// Whether the keys stand in it that an indexer has chosen.
    package let hasKeys: Bool

    /// Describes a file.
    package init(name: ExactText, sum: CRC32C, hasKeys: Bool) {
      (self.name, self.sum, self.hasKeys) = (name, sum, hasKeys)
    }
  }

  /// Layers that are done.
  package let layers: Int
  /// What was found in them, as far as no line before speaks of it.
  package let found: WrittenSegment
  /// The states; nil behind the last layer.
  package let states: States?

  /// Describes what is kept.
  package init(layers: Int, found: WrittenSegment, states: States?) {
    (self.layers, self.found, self.states) = (layers, found, states)
  }

  /// Its line in the journal.
  package var line: String {
    var body: JSONObject = ["layers": .integer(layers), "found": found.json]
    if let states {
      body["states"] = .object([
        "name": .string(states.name.text), "bytes": .integer(states.sum.count),
        "crc32c": .string(states.sum.text), "keys": .bool(states.hasKeys),
      ])
    }
    return JSONValue.object(["pass": .object(body)]).text(indent: nil)
  }

  /// Reads it; nil where it makes no sense.
  init?(_ value: JSONValue) {
    guard case .integer(let layers) = value["layers"], layers > 0,
      let found = value["found"].flatMap({ WrittenSegment($0) })
    else { return nil }
    (self.layers, self.found) = (layers, found)
    guard let file = value["states"] else {
      states = nil
      return
    }
    guard case .string(let name) = file["name"], let sum = CRC32C(file),
      case .bool(let hasKeys) = file["keys"], !name.utf8.contains(UInt8(ascii: "/"))
    else { return nil }
    states = States(name: ExactText(name), sum: sum, hasKeys: hasKeys)
  }
}
