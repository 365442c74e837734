package import Conversion
package import Formats
package import Platform
internal import Tensors

/// Files with what parts of a command's work have found, in one folder: `hash-3-of-16.json`.
///
/// Each names its command, the version, the model's files, what else the work is about, and the part,
/// and ends with the hash of all that stands before (`ManifestSeal`), so that a file of another model,
/// of other parts, or a damaged one is refused by its name.
package struct PartResults: Sendable {
  let command: String
  private let model: String
  /// Where models lie that are not on this machine, with their revisions; nil where all are.
  private let source: String?
  /// What else the work is about, in words; nil where it is about a model alone.
  private let work: String?

  /// Speaks for a command's work on a model that is known by a hash.
  package init(
    of command: String, model: String, at places: [String] = [], work: String? = nil
  ) {
    (self.command, self.model, self.work) = (command, model, work)
    let distant = places.compactMap { DistantPlaces.revision(of: $0) }
    source = distant.isEmpty ? nil : distant.joined(separator: ", ")
  }

  /// Speaks for a command's work on the files of a model.
  ///
  /// - Parameter place: the model's path or address.
  package init(of command: String, _ inventory: Inventory, at place: String) {
    self.init(
      of: command, model: BLAKE3.hash(Array(PartResults.text(of: inventory).utf8)).text,
      at: [place])
  }

  /// Speaks for runs of models on tokens.
  ///
  /// - Parameters:
  ///   - models: their files and configs, and the folders that they were read in, in order.
  ///   - options: what else decides the numbers, in the words of the command line.
  package init(
    of command: String, models: [(inventory: Inventory, config: JSONValue, folder: String)],
    sequences: [[Int]], options: [String]
  ) {
    let text = models.map { model in
      "\(PartResults.text(of: model.inventory))\(model.config.text(indent: nil))\n"
    }
    self.init(
      of: command, model: BLAKE3.hash(Array(text.joined().utf8)).text, at: models.map(\.folder),
      work: ([PartResults.text(of: sequences)] + options).joined(separator: ", "))
  }

  /// How many tokens there are, and a hash that tells them from others.
  package static func text(of sequences: [[Int]]) -> String {
    let ids = sequences.map { $0.map(String.init).joined(separator: " ") + "\n" }.joined()
    let tokens = sequences.reduce(0) { $0 + $1.count }
    return "\(tokens) tokens in \(sequences.count) sequences "
      + "(\(BLAKE3.hash(Array(ids.utf8)).text))"
  }

  private static func text(of inventory: Inventory) -> String {
    var tables = [String](repeating: "", count: inventory.shards.count)
    for tensor in inventory.tensors {
      tables[tensor.shard] +=
        "\(tensor.name) \(tensor.type.rawValue) \(tensor.shape) \(tensor.offset)\n"
    }
    var text = ""
    for (shard, table) in zip(inventory.shards, tables) {
      let stamp = shard.file.stamp
      text += "\(shard.name) \(stamp.size) \(stamp.seconds) \(stamp.nanoseconds)\n\(table)"
    }
    return text
  }

  /// The path of a part's file.
  package func path(of part: PartChoice, in folder: String) -> String {
    Folder.join(folder, ExactText("\(command)-\(part.number)-of-\(part.count).json"))
  }

  /// Writes what a part has found; the file is complete or absent.
  ///
  /// - Throws: `.cannotCreate` or `.inputOutput` where it cannot be written.
  package func write(
    _ values: [JSONValue], of part: PartChoice, to destination: OutputPath
  ) throws(Fault) {
    var body: JSONObject = [
      "schema": .string("fathom.part/1"), "command": .string(command),
      "version": .string(FathomVersion.text), "model": .string(model),
    ]
    if let source { body["source"] = .string(source) }
    if let work { body["work"] = .string(work) }
    body["part"] = .integer(part.number)
    body["of"] = .integer(part.count)
    body["values"] = .array(values)
    let text = JSONValue.object(body).printed().text.dropLast("\n}".count)
    let bytes = Array(text.utf8)
    let file = try AtomicFile(at: destination)
    try file.file.append(bytes + Array(ManifestSeal.text(BLAKE3.hash(bytes)).utf8))
    try file.commit()
  }

  /// Reads what all parts have found, in their order.
  ///
  /// - Throws: `.notFound` where a part's file is missing, by its number; `.malformed` where one is
  ///   damaged or another model's, version's or command's; `.inputOutput` where reading fails.
  package func all(in folder: String) throws(Fault) -> [[JSONValue]] {
    let prefix = command + "-"
    var counts: Set<Int> = []
    for name in try Folder.names(in: folder) {
      let words = name.text.split(separator: "-")
      guard name.text.hasPrefix(prefix), words.count == 4, words[3].hasSuffix(".json"),
        let count = Int(words[3].dropLast(5))
      else { continue }
      counts.insert(count)
    }
    guard let count = counts.first, counts.count == 1, (1...PartChoice.mostParts).contains(count)
    else {
      throw Fault(
        .notFound, "does not hold the results of all parts", file: folder,
        expected: "\(command)-K-of-N.json for each K of one N",
        found: counts.isEmpty
          ? "none" : "N = \(counts.sorted().map(String.init).joined(separator: ", "))")
    }
    var results: [[JSONValue]] = []
    for number in 1...count {
      let path = Folder.join(folder, ExactText("\(command)-\(number)-of-\(count).json"))
      guard try Folder.kind(of: path) == .file else {
        throw Fault(
          .notFound, "has no result of part \(number)/\(count)", file: folder,
          expected: "\(command)-\(number)-of-\(count).json")
      }
      let bytes = try InputFile.contents(of: path, limit: PartResults.sizeLimit)
      results.append(try values(number, of: count, in: bytes, path: path))
    }
    return results
  }

  /// What to do where a member of a part's file is another one.
  private static let advice = [
    "source": DistantPlaces.revisionAdvice + ", and run that part again",
    "model":
      "the part has seen other files, or the same ones before somebody wrote to them: run it again",
    "work": "the part has run on other tokens or with other options: run it again with these",
  ]

  /// A part's file: what 100,000 tensors need, and much more.
  private static let sizeLimit = 256 << 20

  /// Reads the file of a part.
  ///
  /// - Throws: `.malformed` where it is damaged, or another one.
  package func values(
    _ number: Int, of count: Int, in bytes: [UInt8], path: String
  ) throws(Fault) -> [JSONValue] {
    do throws(Fault) { try ManifestSeal.require(bytes) } catch {
      var fault = error
      fault.file = path
      throw fault
    }
    let json = try JSONValue(parsing: bytes, file: path, limits: .list)
    let expected: [(key: String, value: JSONValue?)] = [
      ("schema", .string("fathom.part/1")), ("command", .string(command)),
      ("version", .string(FathomVersion.text)), ("part", .integer(number)),
      ("of", .integer(count)), ("source", source.map { .string($0) }), ("model", .string(model)),
      ("work", work.map { .string($0) }),
    ]
    for (key, value) in expected where json[key] != value {
      var fault = Fault(
        .malformed, "is the result of other work", file: path,
        expected: "\(key) \(value?.text(indent: nil) ?? "none")",
        found: json[key]?.text(indent: nil) ?? "none")
      fault.advice = PartResults.advice[key]
      throw fault
    }
    guard case .array(let values)? = json["values"] else {
      throw Fault(.malformed, "has no values", file: path)
    }
    return values
  }
}
