internal import Locks
internal import Platform

/// A folder of a server that lists nothing: what lies in it is found by the names that models' files
/// have, and by those in the index.
final class WebFolder: DistantFolder {
  let address: Address
  private let opened = Guarded<[ExactText: RemoteFile?]>([:])
  private let known = Answer<[ExactText]>()
  private let beginnings = Beginnings()
  /// A file that the argument named.
  private let named: ExactText?

  /// Largest index that is read for its names.
  private static let indexLimit = 64 << 20

  /// Names of files that models have, beside weights that an index names.
  private static let usual: [ExactText] = [
    "config.json", "model.safetensors.index.json", "model.safetensors", "params.json",
    "consolidated.safetensors", "generation_config.json", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    "tiktoken.model", "vocab.json", "merges.txt", "tekken.json", "chat_template.jinja",
    "chat_template.json", "preprocessor_config.json", "hf_quant_config.json",
    "quantize_config.json", "quant_config.json", "recipe.yaml", "configuration_deepseek.py",
    "modeling_deepseek.py", "tokenization_kimi.py", "LICENSE", "README.md",
    "fathom-manifest.json", "fathom-pack.json",
  ]

  /// - Parameter named: a file in it that was asked for by its name.
  init(_ address: Address, named: ExactText?) {
    self.address = address
    self.named = named
  }

  var name: ExactText { Folder.name(of: address.text) }

  func pinnedAddress() throws(Fault) -> String { address.text.trimmed }

  func kind(of place: ExactText) throws(Fault) -> Folder.Kind? {
    if place.isEmpty {
      guard named == nil, try names(in: "").isEmpty else { return .folder }
      var fault = Fault(
        .notFound, "has no file that models have", file: address.text,
        expected: "config.json and its weights, or the address of one file")
      fault.advice = "a server that lists nothing is asked for the names that models' files have"
      throw fault
    }
    return try remote(place, shownAs: Folder.join(address.text.trimmed, place)) == nil ? nil : .file
  }

  func names(in place: ExactText) throws(Fault) -> [ExactText] {
    guard place.isEmpty else { return [] }
    return try known.value(find)
  }

  /// Asks for every usual name, side by side, and reads the names in the index.
  private func find() throws(Fault) -> [ExactText] {
    let names = WebFolder.usual + [named].compactMap { $0 }
    let found = Guarded<Set<ExactText>>([])
    try Workers.run(threads: names.count, count: names.count) { _, item throws(Fault) in
      let name = names[item]
      let path = Folder.join(address.text.trimmed, name)
      if try remote(name, shownAs: path) != nil { found.withLock { _ = $0.insert(name) } }
    }
    var result = found.withLock { $0 }
    let index: ExactText = "model.safetensors.index.json"
    if result.contains(index),
      let file = try open(index, shownAs: Folder.join(address.text.trimmed, index))
    {
      let json = try JSONValue(
        parsing: file.contents(limit: WebFolder.indexLimit), file: file.path, limits: .list)
      if case .object(let map)? = json["weight_map"] {
        for key in map.keys {
          guard case .string(let name)? = map[key], Folder.isPlain(ExactText(name)) else {
            continue
          }
          result.insert(ExactText(name))
        }
      }
    }
    return result.sorted()
  }

  func open(_ place: ExactText, shownAs path: String) throws(Fault) -> InputFile? {
    guard let file = try remote(place, shownAs: path) else { return nil }
    return InputFile(distant: file, path: path, size: file.size, tag: file.contents.tag)
  }

  /// A file whose size is known; nil where there is none of the name.
  private func remote(_ place: ExactText, shownAs path: String) throws(Fault) -> RemoteFile? {
    if let file = opened.withLock({ $0[place] }) { return file }
    let text = "\(address.text.trimmed)/\(Address.escaped(place, keepingSlashes: true))"
    let courier = Courier(try Address(text), path: path)
    let file = RemoteFile(
      courier, PinnedContents(path, PinnedContents.Facts()), beginnings: beginnings)
    do throws(Fault) {
      _ = try file.learn()
    } catch {
      guard error.kind == .notFound else { throw error }
      opened.withLock { $0[place] = .some(nil) }
      return nil
    }
    return opened.withLock { opened in
      if let other = opened[place] ?? nil { return other }
      opened[place] = file
      return file
    }
  }
}
