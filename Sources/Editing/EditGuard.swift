internal import Formats
internal import Models
internal import Naming
internal import Platform
internal import Tensors

/// What is refused unless the user insists.
struct EditGuard {
  let file: String
  let isForced: Bool
  let nearest: (String, [String]) -> String?
  /// What was done at the user's word.
  private(set) var forced: [String] = []

  init(
    file: String, isForced: Bool, nearest: @escaping (String, [String]) -> String?
  ) {
    self.file = file
    self.isForced = isForced
    self.nearest = nearest
  }

  /// Throws `.usage`, or notes what was forced.
  private mutating func refuse(
    _ message: String, key: String, expected: String? = nil, found: String? = nil
  ) throws(Fault) {
    guard !isForced else {
      forced.append("\(key): \(message)")
      return
    }
    var fault = Fault(
      .usage, "\(key) is not changed: \(message)", file: file, expected: expected, found: found)
    fault.advice = "--force does it all the same"
    throw fault
  }

  /// Throws where a key of a GGUF file is structural, unknown, or of another type.
  mutating func require(_ change: MetadataChange, in metadata: Metadata) throws(Fault) {
    let key = change.key
    if let warning = KnownKeys.warning(key) { try refuse(warning, key: key) }
    guard let old = metadata[key] else {
      let architecture = metadata["general.architecture"]?.text ?? ""
      let known = KnownKeys.all(architecture)
      guard change.value != nil else {
        let meant = nearest(key, metadata.keys).map { "did you mean \($0)?" }
        throw Fault(
          .usage, "has no key \(key) that could be removed", file: file, expected: meant)
      }
      guard known.contains(where: { ExactText($0) == ExactText(key) }) || KnownKeys.isNumbered(key)
      else {
        let meant = nearest(key, metadata.keys + known).map { ": did you mean \($0)?" } ?? ""
        return try refuse("it is neither in the file nor one of GGUF's keys\(meant)", key: key)
      }
      return
    }
    if let value = change.value, value.typeName != old.typeName {
      try refuse(
        "readers expect the type that it has", key: key, expected: old.typeName,
        found: value.typeName)
    }
  }

  /// Throws where a value of a safetensors file is no text, or readers rely on the key.
  mutating func requireText(_ change: MetadataChange, in metadata: Metadata) throws(Fault) {
    if let value = change.value, value.text == nil {
      throw Fault(
        .usage, "\(change.key) is not changed: metadata of safetensors files are texts", file: file,
        expected: "str", found: value.typeName)
    }
    if change.value == nil, metadata[change.key] == nil {
      throw Fault(.usage, "has no key \(change.key) that could be removed", file: file)
    }
    let key = ExactText(change.key)
    if key == "format" { try refuse("transformers refuses files without it", key: change.key) }
    if key.hasPrefix("fathom.") {
      try refuse("it says what the file was made from", key: change.key)
    }
  }

  /// Throws where the keys of a network of this family fit its tensors, and would do so no more.
  mutating func requireReadable(_ header: GGUFHeader, _ metadata: Metadata) throws(Fault) {
    guard let before = EditGuard.misfits(header, header.metadata),
      header.metadata["split.count"] == nil
    else { return }
    guard let after = EditGuard.misfits(header, metadata) else {
      return try refuse("the network could not be read", key: "the metadata")
    }
    guard after.count > before.count, let name = after.first(where: { !before.contains($0) }) else {
      return
    }
    try refuse(
      "tensors would not have the shapes that the keys imply, \(name) the first of "
        + "\(after.count)", key: "the metadata")
  }

  /// Tensors that are not as the keys have them, or are missing; nil where the network cannot be read.
  private static func misfits(_ header: GGUFHeader, _ metadata: Metadata) -> [ExactText]? {
    let names = Set(header.tensors.map(\.name))
    guard let read = try? GGUFConfig(metadata, names: names, file: ""),
      let config = try? ModelConfig(json: read.json, file: "")
    else { return nil }
    var shapes: [ExactText: Shape] = [:]
    for tensor in header.tensors { shapes[tensor.name] = tensor.shape }
    var expected: Set<ExactText> = []
    var found: [ExactText] = []
    for tensor in config.ggufTensors() {
      expected.insert(tensor.name)
      if shapes[tensor.name] != tensor.shape { found.append(tensor.name) }
    }
    return found + header.tensors.map(\.name).filter { !expected.contains($0) }
  }
}
