internal import Dialects
package import Formats
package import Platform
internal import Tensors

/// What a conversion is: the same source, recipe and version give the same bytes.
///
/// It stands at the head of a journal, so that unfinished work is continued by its like alone.
package struct ConversionIdentity: Sendable, Equatable {
  /// A file that tensors are read from, or that has a say in what becomes of them.
  struct SourceFile: Sendable, Equatable {
    let name: ExactText
    let size: Int
    /// When it was last written to: seconds since 1970 and nanoseconds.
    let seconds: Int
    let nanoseconds: Int
    /// Checksum of names, types, shapes and places of its tensors, as hexadecimal digits.
    let tensors: String
  }

  /// The program's version.
  let version: String
  /// What was asked for.
  let recipe: JSONValue
  /// Where a source lies that is not on this machine, with its revision; nil for one that is.
  let revision: String?
  /// The source's files, and the importance matrix.
  private(set) var source: [SourceFile]
  /// Checksum of the output's headers and documents and of what each tensor is made from.
  let output: String

  /// The layout of journals that this program writes.
  static let layout = 2

  /// Describes what a plan does to a source.
  init(_ plan: Plan, _ source: SourceModel) {
    version = FathomVersion.text
    var recipe = plan.recipe.json
    recipe["manifest"] = .bool(plan.recipe.writesManifest)
    recipe["embedsProvenance"] = .bool(plan.recipe.embedsProvenance)
    self.recipe = .object(recipe)
    revision = DistantPlaces.revision(of: source.checkpoint.folder)
    self.source = ConversionIdentity.files(of: source.checkpoint.inventory)
    if let matrix = plan.recipe.target.own.importance {
      let names = CRC32C(matrix.names.sorted().joined(separator: "\n"))
      self.source.append(
        SourceFile(Folder.name(of: matrix.path), matrix.stamp, tensors: names.text))
    }
    output = ConversionIdentity.checksum(of: plan)
  }

  /// Describes what else is made of a model's files.
  ///
  /// - Parameters:
  ///   - recipe: what was asked for.
  ///   - checkpoint: the files.
  ///   - output: checksum of what else decides the output's bytes.
  package init(recipe: JSONValue, of checkpoint: Checkpoint, output: String) {
    version = FathomVersion.text
    (self.recipe, self.output) = (recipe, output)
    revision = DistantPlaces.revision(of: checkpoint.folder)
    source = ConversionIdentity.files(of: checkpoint.inventory)
  }

  private static func files(of inventory: Inventory) -> [SourceFile] {
    var tables = [CRC32C](repeating: CRC32C(), count: inventory.shards.count)
    for tensor in inventory.tensors {
      let place = "\(tensor.name) \(tensor.type.rawValue) \(tensor.shape) \(tensor.offset)\n"
      tables[tensor.shard].append(CRC32C(place))
    }
    return zip(inventory.shards, tables).map { shard, table in
      SourceFile(shard.name, shard.file.stamp, tensors: table.text)
    }
  }

  private static func checksum(of plan: Plan) -> String {
    var sum = CRC32C()
    for file in plan.layout.files {
      sum.append(CRC32C("\(file.name) \(file.byteCount)\n"))
      sum.append(file.header.withUnsafeBytes { CRC32C($0) })
    }
    for document in plan.output.documents {
      sum.append(document.bytes.withUnsafeBytes { CRC32C($0) })
    }
    for tensor in plan.tensors {
      for source in tensor.sources { sum.append(CRC32C("\(source.name) ")) }
    }
    return sum.text
  }

  /// The identity with an earlier run's word on files that are gone since, whose beginnings alone
  /// are there.
  func filled(from earlier: ConversionIdentity, gone: Set<ExactText>) -> ConversionIdentity {
    var result = self
    for (index, file) in source.enumerated() where gone.contains(file.name) {
      let other = earlier.source.first { $0.name == file.name }
      if let other, other.tensors == file.tensors { result.source[index] = other }
    }
    return result
  }

  /// Throws `.cannotCreate` with the first thing that differs from what an unfinished conversion
  /// at `path` was begun with.
  package func requireSame(as earlier: ConversionIdentity, path: String) throws(Fault) {
    func fault(_ what: String, _ expected: String, _ found: String) -> Fault {
      Fault(
        .cannotCreate, "unfinished work has another \(what)", file: path, expected: expected,
        found: found)
    }
    guard version == earlier.version else {
      throw fault("version of fathom", earlier.version, version)
    }
    guard recipe == earlier.recipe else {
      let (one, other) = ConversionIdentity.difference(earlier.recipe, recipe)
      throw fault("recipe", one, other)
    }
    guard revision == earlier.revision else {
      var fault = fault("source", earlier.revision ?? "a folder", revision ?? "a folder")
      fault.advice = DistantPlaces.revisionAdvice
      throw fault
    }
    for file in earlier.source {
      guard let now = source.first(where: { $0.name == file.name }) else {
        throw fault("source", file.name.text, "no such file")
      }
      guard now.size == file.size else {
        throw fault("source", "\(file.name) of \(file.size) bytes", "\(now.size) bytes")
      }
      guard now.tensors == file.tensors else {
        throw fault("source", "\(file.name) as it was", "other tensors in it")
      }
      guard now == file else {
        throw fault("source", "\(file.name) as it was", "written to since")
      }
    }
    guard source.count == earlier.source.count else {
      throw fault("source", "\(earlier.source.count) files", "\(source.count)")
    }
    guard output == earlier.output else {
      throw fault("plan", "the same config and tokenizer", "others")
    }
  }

  /// The members of two objects that differ, on one line each.
  private static func difference(
    _ one: JSONValue, _ other: JSONValue
  ) -> (String, String) {
    guard case .object(var first) = one, case .object(var second) = other else {
      return (one.text(indent: nil), other.text(indent: nil))
    }
    for key in first.keys where first[key] == second[key] {
      first[key] = nil
      second[key] = nil
    }
    return (JSONValue.object(first).text(indent: nil), JSONValue.object(second).text(indent: nil))
  }
}

extension ConversionIdentity.SourceFile {
  fileprivate init(_ name: ExactText, _ stamp: FileStamp, tensors: String) {
    self.init(
      name: name, size: stamp.size, seconds: stamp.seconds, nanoseconds: stamp.nanoseconds,
      tensors: tensors)
  }
}

extension ConversionIdentity {
  /// The head of a journal, on one line.
  ///
  /// - Parameters:
  ///   - parts: how many divide the conversion; nil where one run does all of it.
  ///   - share: which of them the journal is of; nil for the whole conversion's.
  ///   - layers: of a pass over a model's layers, how many it goes through; nil for a conversion.
  package func line(
    with origin: ConversionOrigin, parts: Int? = nil, share: Share? = nil, layers: Int? = nil
  ) -> String {
    let files = source.map { file in
      JSONValue.object([
        "name": .string(file.name.text), "bytes": .integer(file.size),
        "seconds": .integer(file.seconds), "nanoseconds": .integer(file.nanoseconds),
        "tensors": .string(file.tensors),
      ])
    }
    var head: JSONObject = [
      "journal": .integer(Self.layout), "version": .string(version), "recipe": recipe,
      "source": .array(files), "output": .string(output),
    ]
    if let revision { head["revision"] = .string(revision) }
    let more = origin.json
    for key in more.keys { head[key] = more[key] }
    if let parts { head["parts"] = .integer(parts) }
    if let layers { head["layers"] = .integer(layers) }
    if let share { head["part"] = PartHead(share).json }
    return JSONValue.object(head).text(indent: nil)
  }

  /// Reads the head of a journal; nil where it is none that this program understands.
  init?(line: JSONValue) {
    guard line["journal"] == .integer(Self.layout), case .string(let version) = line["version"],
      let recipe = line["recipe"], case .array(let files) = line["source"],
      case .string(let output) = line["output"]
    else { return nil }
    var source: [SourceFile] = []
    for file in files {
      guard case .string(let name) = file["name"], case .integer(let size) = file["bytes"],
        case .integer(let seconds) = file["seconds"],
        case .integer(let nanoseconds) = file["nanoseconds"],
        case .string(let tensors) = file["tensors"], size >= 0
      else { return nil }
      source.append(
        SourceFile(
          name: ExactText(name), size: size, seconds: seconds, nanoseconds: nanoseconds,
          tensors: tensors))
    }
    self.version = version
    self.recipe = recipe
    if case .string(let text)? = line["revision"] { revision = text } else { revision = nil }
    self.source = source
    self.output = output
  }
}
