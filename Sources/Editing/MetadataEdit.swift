internal import Formats
internal import Models
package import Platform
package import Tensors

/// Changes of the metadata of one file of weights, decided before a byte is written.
package struct MetadataEdit: Sendable {
  /// A key that changes.
  package struct Change: Sendable, Hashable {
    /// The key.
    package let key: String
    /// What it said; nil where it is new.
    package let before: MetadataValue?
    /// What it says then; nil where it is taken away.
    package let after: MetadataValue?
  }

  /// How the file is changed.
  package enum Way: String, Sendable {
    /// There is nothing to change.
    case none
    /// The tensors stay where they are, and the bytes before them are exchanged.
    case inPlace = "in-place"
    /// A new file is written, which then takes the name.
    case newFile = "new-file"
  }

  /// The file.
  package let path: String
  /// What it is: `gguf` or `safetensors`.
  package let format: String
  /// The keys that change.
  package let changes: [Change]
  /// What was done at the user's word, a line each.
  package let forced: [String]
  let file: InputFile
  let header: ChangedHeader

  /// Looks at a file and decides what changes.
  ///
  /// - Parameters:
  ///   - isForced: whether to do what would otherwise be refused.
  ///   - nearest: what of some words somebody may have meant by another.
  /// - Throws: `.usage` for what is refused, with the reason; what opening the file throws;
  ///   `.malformed` where what would be written could not be read.
  package init(
    _ model: String, _ changes: [MetadataChange], isForced: Bool,
    nearest: @escaping (_ word: String, _ words: [String]) -> String?
  ) throws(Fault) {
    let place = try ModelPlace(model)
    let opened = try EditedFile(place)
    path = opened.path
    file = opened.file
    var guardian = EditGuard(file: opened.path, isForced: isForced, nearest: nearest)
    switch opened.contents {
    case .gguf(let old):
      format = "gguf"
      var metadata = old.metadata
      for change in changes {
        try guardian.require(change, in: metadata)
        metadata[change.key] = change.value
      }
      try guardian.requireReadable(old, metadata)
      let file = file
      header = try MetadataEdit.readable { () throws(Fault) in
        try ChangedHeader(gguf: file, old, metadata: metadata)
      }
      self.changes = MetadataEdit.changes(of: changes, from: old.metadata, to: metadata)
    case .safetensors(let old):
      format = "safetensors"
      var metadata = Metadata()
      for (key, value) in old.metadata { metadata[key] = .string(value) }
      let before = metadata
      for change in changes {
        try guardian.requireText(change, in: metadata)
        metadata[change.key] = change.value
      }
      let file = file
      header = try MetadataEdit.readable { () throws(Fault) in
        try ChangedHeader(
          safetensors: file, old, changes: changes.map { ($0.key, $0.value?.text) })
      }
      self.changes = MetadataEdit.changes(of: changes, from: before, to: metadata)
    }
    forced = guardian.forced
  }

  /// What a file would begin with; where it could not be read that is said.
  private static func readable(
    _ make: () throws(Fault) -> ChangedHeader
  ) throws(Fault) -> ChangedHeader {
    do throws(Fault) { return try make() } catch {
      var fault = error
      if fault.kind == .malformed {
        fault.advice = "what would be written could not be read, so that nothing is written"
      }
      throw fault
    }
  }

  /// The keys whose values are others in the end, in the order in which they were first named.
  private static func changes(
    of asked: [MetadataChange], from old: Metadata, to new: Metadata
  ) -> [Change] {
    var seen: Set<ExactText> = []
    return asked.compactMap { change in
      let (before, after) = (old[change.key], new[change.key])
      guard seen.insert(ExactText(change.key)).inserted, before != after else { return nil }
      return Change(key: change.key, before: before, after: after)
    }
  }

  /// How the file is changed where no other place is named for it.
  package var way: Way {
    if changes.isEmpty { return .none }
    return header.fits ? .inPlace : .newFile
  }

  /// Bytes of the tensors, which a new file takes over.
  package var tensorBytes: Int { file.size - header.oldDataStart }
  /// Bytes before the tensors, as they were and as they will be.
  package var headerBytes: (before: Int, after: Int) { (header.oldDataStart, header.bytes.count) }
  /// Bytes of the file as it will be.
  package var byteCount: Int { header.bytes.count + tensorBytes }
}

/// The one file that is edited.
struct EditedFile {
  enum Contents {
    case gguf(GGUFHeader)
    case safetensors(SafetensorsHeader)
  }

  let path: String
  let file: InputFile
  let contents: Contents

  init(_ place: ModelPlace) throws(Fault) {
    switch place.kind {
    case .config: throw Fault(.usage, "is a config and has no metadata", file: place.path)
    case .gguf:
      path = place.path
      file = try EditedFile.open(path)
      let header = try GGUFHeader(file, shard: 0)
      try header.requireSize(of: file)
      contents = .gguf(header)
    case .safetensors:
      path = try EditedFile.onlyFile(in: place.path)
      file = try EditedFile.open(path)
      guard case .header(let header) = try SafetensorsHeader.read(file, shard: 0) else {
        throw Fault(.malformed, "is cut short", file: path)
      }
      try header.requireSize(of: file)
      contents = .safetensors(header)
    }
  }

  /// A file that was named, or the only file of weights in a folder.
  private static func onlyFile(in path: String) throws(Fault) -> String {
    guard try Folder.kind(of: path) == .folder else { return path }
    let names = try Folder.listing(of: path).names.filter { $0.hasSuffix(".safetensors") }
    guard names.count == 1 else {
      throw Fault(
        .usage, "holds \(names.count) files of weights, each with metadata of its own", file: path,
        expected: "one of them by its name")
    }
    return Folder.join(path, names[0])
  }

  private static func open(_ path: String) throws(Fault) -> InputFile {
    switch try PackedFile.opening(InputFolder(around: path).open(Folder.name(of: path))) {
    case .plain(let file): return file
    case .packed, .cut:
      var fault = Fault(.malformed, "is packed, and its metadata cannot be changed", file: path)
      fault.advice = "\"fathom unpack\" gives back the file that can be changed"
      throw fault
    }
  }
}
