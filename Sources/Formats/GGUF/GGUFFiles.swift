package import Platform
package import Tensors

/// A GGUF model that is structurally whole: one file, or a set of splits of which all are there.
package struct GGUFFiles: Sendable {
  /// The folder that holds the files.
  package let folder: String
  /// Name of the file that the model was opened by.
  package let name: ExactText
  /// All tensors by the names in the files.
  package let inventory: Inventory
  /// The metadata of the first split, which alone has all of it, without the keys about splits.
  package let metadata: Metadata
  /// The same with the keys about splits, as it stands in the file.
  package let storedMetadata: Metadata
  /// Numbers of types that are in no table, by the names of tensors that have them.
  package let unknownTypes: [ExactText: UInt32]

  /// Opens a file; any split of a set opens the set.
  ///
  /// The other splits are those of their names beside the one that is given, which may be a link.
  ///
  /// - Throws: `.notFound` for a split that is absent, `.malformed` for what breaks the format or
  ///   does not fit together.
  package init(path: String) throws(Fault) {
    let folder = Folder.parent(of: path)
    name = Folder.name(of: path)
    self.folder = folder
    let door = try InputFolder(around: path)
    let budget = ModelBudget()
    let file = try PackedFile.weights(door.open(name), within: budget)
    let header = try GGUFHeader(file, shard: 0)
    Console.step("opened \(path): read the header of a GGUF file")
    let split = try SplitKeys(header.metadata, file: file)
    guard let split, split.count > 1 else {
      try header.requireSize(of: file)
      storedMetadata = header.metadata
      metadata = GGUFFiles.withoutSplitKeys(header.metadata)
      unknownTypes = header.unknownTypes
      inventory = try Inventory(
        shards: [Shard(name: name, file: file, metadata: [])], tensors: header.tensors)
      return
    }
    guard let named = GGUFSplitName(name), named.count == split.count,
      named.number == split.number + 1
    else {
      throw Fault(
        .malformed, "is not named as its metadata says", file: path,
        expected: "…\(GGUFSplitName(stem: "", number: split.number + 1, count: split.count).text)",
        found: name.text)
    }
    var shards: [Shard] = []
    var tensors: [StoredTensor] = []
    var metadata = Metadata()
    var unknownTypes: [ExactText: UInt32] = [:]
    try budget.files.take(split.count, for: path)
    for number in 1...split.count {
      let name = GGUFSplitName(stem: named.stem, number: number, count: split.count).text
      let file = try GGUFFiles.split(name, in: door, within: budget)
      let header = try GGUFHeader(file, shard: number - 1)
      unknownTypes.merge(header.unknownTypes) { first, _ in first }
      try header.requireSize(of: file)
      try GGUFFiles.check(header, of: file, number: number - 1, against: split)
      try budget.tensors.take(header.tensors.count, for: file.path)
      if number == 1 { metadata = header.metadata }
      shards.append(Shard(name: name, file: file, metadata: []))
      tensors += header.tensors
    }
    if let total = split.tensors, total != tensors.count {
      throw Fault(
        .malformed, "does not have as many tensors as its splits say", file: path,
        expected: "\(total)", found: "\(tensors.count)")
    }
    storedMetadata = metadata
    self.metadata = GGUFFiles.withoutSplitKeys(metadata)
    self.unknownTypes = unknownTypes
    inventory = try Inventory(shards: shards, tensors: tensors)
  }

  /// Opens a split.
  private static func split(
    _ name: ExactText, in door: InputFolder, within budget: ModelBudget
  ) throws(Fault) -> InputFile {
    do throws(Fault) {
      return try PackedFile.weights(door.open(name), within: budget)
    } catch {
      throw door.explained(error, missing: name)
    }
  }

  /// What keeps a tensor from being decoded: the first fault of a type of another program or time;
  /// nil where every type is known.
  package func foreignType() -> Fault? {
    guard let tensor = inventory.tensors.first(where: \.type.isForeign),
      let origin = tensor.type.foreign
    else { return nil }
    let name = unknownTypes[tensor.name].map { "the type of number \($0)" } ?? tensor.type.rawValue
    let all = inventory.tensors.count { $0.type == tensor.type }
    var fault = Fault(
      .malformed, "is stored in \(name), \(origin.origin), and cannot be decoded",
      file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
      offset: UInt64(tensor.offset))
    fault.found = all > 1 ? "\(all) such tensors" : nil
    fault.advice = origin.advice
    return fault
  }

  private static func check(
    _ header: GGUFHeader, of file: InputFile, number: Int, against split: SplitKeys
  ) throws(Fault) {
    let found = try SplitKeys(header.metadata, file: file)
    guard let found, found.number == number, found.count == split.count,
      found.tensors == split.tensors
    else {
      throw Fault(
        .malformed, "does not belong to this set of splits", file: file.path,
        expected: "split.no \(number) of \(split.count)",
        found: found.map { "\($0.number) of \($0.count)" } ?? "no split.no")
    }
  }

  private static func withoutSplitKeys(_ metadata: Metadata) -> Metadata {
    var metadata = metadata
    for key in SplitKeys.all { metadata[key] = nil }
    return metadata
  }
}

/// What the metadata of a split says about the set.
struct SplitKeys {
  static let number = "split.no"
  static let count = "split.count"
  static let tensors = "split.tensors.count"
  static let all = [number, count, tensors]
  /// The keys are 16-bit numbers.
  private static let limit = Int(UInt16.max)

  let number: Int
  let count: Int
  let tensors: Int?

  /// Nil where the file is no split.
  init?(_ metadata: Metadata, file: InputFile) throws(Fault) {
    guard let count = metadata[SplitKeys.count] else { return nil }
    guard let count = count.integer, (0...SplitKeys.limit).contains(count),
      let number = metadata[SplitKeys.number]?.integer, (0..<max(1, count)).contains(number)
    else {
      throw Fault(
        .malformed, "has impossible metadata about splits", file: file.path,
        expected: "split.no below split.count, at most \(SplitKeys.limit)")
    }
    let tensors = metadata[SplitKeys.tensors]
    if let tensors, (tensors.integer ?? -1) < 0 {
      throw Fault(.malformed, "has an impossible split.tensors.count", file: file.path)
    }
    self.number = number
    self.count = count
    self.tensors = tensors?.integer
  }
}

/// A file name as llama.cpp's splitter makes it: `stem-00001-of-00003.gguf`.
struct GGUFSplitName {
  let stem: ExactText
  /// From 1 on.
  let number: Int
  let count: Int

  init(stem: ExactText, number: Int, count: Int) {
    self.stem = stem
    self.number = number
    self.count = count
  }

  init?(_ name: ExactText) {
    guard let parts = name.without(suffix: ".gguf")?.split(separator: "-"),
      parts.count >= 4, parts[parts.count - 2] == "of",
      let number = GGUFSplitName.number(parts[parts.count - 3]),
      let count = GGUFSplitName.number(parts[parts.count - 1])
    else { return nil }
    self.init(
      stem: ExactText(parts.dropLast(3).joined(separator: "-")), number: number, count: count)
  }

  /// Five digits.
  private static func number(_ text: ExactText) -> Int? {
    text.utf8.count == 5 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
      ? Int(text.text) : nil
  }

  var text: ExactText {
    func digits(_ value: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    return "\(stem)-\(digits(number))-of-\(digits(count)).gguf"
  }
}
