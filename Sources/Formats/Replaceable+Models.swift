package import Platform

extension Replaceable {
  /// A model that a conversion or `pack` can have written: a folder whose files are all those of one
  /// model, an empty folder, or a file of weights. A wrong path must not cost anybody their files.
  package static let model = Replaceable(
    "an empty folder, or one whose files all are those of one model: config.json, safetensors files "
      + "and what goes with them",
    refusal: "holds no checkpoint, or other things too, and is not replaced"
  ) { standing throws(Fault) in
    guard standing.kind == .folder else {
      return try Beginning(standing).isModelOrEmpty ? nil : "a file that is no model"
    }
    return try obstacle(in: standing)
  }

  /// Entries of a folder that belong to no model; nil where all belong to one.
  private static func obstacle(in folder: Standing) throws(Fault) -> String? {
    let entries = folder.entries ?? []
    if entries.isEmpty { return nil }
    let listed = try Set(ListedFiles.names(in: folder).map(RawName.init))
    var parts: Set<ModelFileName.Part> = []
    var others: [String] = []
    for entry in entries {
      let part = ModelFileName.part(entry.name)
      guard entry.isFileOrLink, part != nil || listed.contains(entry.name) else {
        others.append(entry.shown)
        continue
      }
      if let part { parts.insert(part) }
    }
    if parts.contains(.gguf) {
      others += foreignSplits(entries, listed: listed, isAlone: !parts.contains(.config))
    }
    guard others.isEmpty else {
      let more = others.count > 5 ? " and \(others.count - 5) more" : ""
      return others.prefix(5).joined(separator: ", ") + more
    }
    let isModel = parts.contains(.config) && parts.contains(.weights) || parts.contains(.gguf)
    return isModel || !listed.isEmpty ? nil : "no weights with a config"
  }

  /// GGUF files that are neither listed nor splits of one model that has the folder to itself.
  private static func foreignSplits(
    _ entries: [Standing.Entry], listed: Set<RawName>, isAlone: Bool
  ) -> [String] {
    let files = entries.filter {
      ModelFileName.part($0.name) == .gguf && !listed.contains($0.name)
    }
    let sets = files.map { file in
      String(validating: file.name.bytes, as: UTF8.self).flatMap { GGUFSplitName(ExactText($0)) }
        .map { "\($0.count)/\($0.stem)" as ExactText }
    }
    let isOneSet = isAlone && Set(sets).count <= 1 && !sets.contains(nil)
    return isOneSet ? [] : files.map(\.shown)
  }

  /// A file that people or programs read as text: a report.
  package static let report = Replaceable("a report", refusal: "is no report and is not replaced") {
    standing throws(Fault) in
    guard standing.kind == .file else { return "a folder" }
    let beginning = try Beginning(standing)
    if beginning.isModel { return "a model's weights" }
    return beginning.isText ? nil : "a file that is no text"
  }

  /// A safetensors file of logits.
  package static let logits = Replaceable(
    "a file of logits", refusal: "is no file of logits and is not replaced"
  ) { standing throws(Fault) in
    guard standing.kind == .file else { return "a folder" }
    if standing.byteCount == 0 { return nil }
    let names = try Beginning(standing).tensors ?? []
    let areLogits =
      !names.isEmpty
      && names.allSatisfy { name in
        RawName(name).equals("logits") || RawName(name).begins(with: "mtp_logits")
      }
    return areLogits ? nil : "another file"
  }

  /// An importance matrix in either of its formats.
  package static let importance = Replaceable(
    "an importance matrix", refusal: "is no importance matrix and is not replaced"
  ) { standing throws(Fault) in
    guard standing.kind == .file else { return "a folder" }
    if standing.byteCount == 0 { return nil }
    return try Beginning(standing).isImportance ? nil : "another file"
  }

  /// A file whose first bytes are those of its format.
  package static func file(beginningWith magic: [UInt8], called name: String) -> Replaceable {
    Replaceable(name, refusal: "is not \(name) and is not replaced") { standing throws(Fault) in
      guard standing.kind == .file else { return "a folder" }
      if standing.byteCount == 0 { return nil }
      return try standing.beginning(limit: magic.count) == magic ? nil : "another file"
    }
  }
}

/// What the first bytes of a file tell.
private struct Beginning {
  private let bytes: [UInt8]
  private let size: Int

  /// More than the header of a file of logits, and enough to tell text from numbers.
  private static let limit = 1 << 16

  init(_ standing: Standing) throws(Fault) {
    bytes = try standing.beginning(limit: Self.limit)
    size = standing.byteCount
  }

  /// Whether it is weights in one of the formats that are read.
  var isModel: Bool { isGGUF || headerSize != nil }

  /// Whether it has the key of an importance matrix, or a first entry as the older format has it.
  var isImportance: Bool {
    if isGGUF {
      var key: [UInt8] = []
      key.appendString(ImportanceOutput.chunkCountKey)
      return bytes[...].place(of: key) != nil
    }
    return bytes.count > 12 && bytes[8...].starts(with: "blk.".utf8)
  }

  var isModelOrEmpty: Bool { size == 0 || isModel }

  private var isGGUF: Bool { bytes.starts(with: GGUFHeader.magic) }

  /// Bytes of a safetensors header, where the file begins like one.
  private var headerSize: Int? {
    guard bytes.count > 8, bytes[8] == UInt8(ascii: "{") else { return nil }
    let value = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Int(exactly: value).flatMap { $0 <= SafetensorsHeader.lengthLimit ? $0 : nil }
  }

  /// Whether it could be what a report is; an empty file could.
  var isText: Bool {
    guard !bytes.contains(0) else { return false }
    // A character may be cut at the end of what was read.
    return (0..<4).contains { cut in
      cut <= bytes.count && String(validating: bytes.dropLast(cut), as: UTF8.self) != nil
    }
  }

  /// The names of a safetensors file's tensors, of one whose header is small.
  var tensors: [String]? {
    guard let count = headerSize, bytes.count >= 8 + count,
      case .object(let header)? = try? JSONValue(parsing: Array(bytes[8..<8 + count]), file: "")
    else { return nil }
    return header.keys.filter { !RawName($0).equals("__metadata__") }
  }
}
