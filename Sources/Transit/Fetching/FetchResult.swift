public import Platform

/// What `fathom fetch` has done (schema `fathom.fetch/1`).
public struct FetchResult: Sendable, Hashable {
  /// How a file came to be there.
  public enum State: String, Sendable, Hashable {
    /// It was fetched.
    case fetched
    /// Its end was; an earlier run had the beginning.
    case continued
    /// It was there already, with these contents.
    case kept
  }

  /// A file of the model.
  public struct File: Sendable, Hashable {
    /// Its name.
    public let name: ExactText
    /// Its size.
    public let byteCount: Int
    /// Its SHA-256, where the server says it: what is there was compared with it.
    public let sha256: String?
    /// How it came to be there.
    public let state: State

    init(_ file: ModelFetch.File, _ state: State) {
      name = file.name
      byteCount = file.file.size
      sha256 = file.file.statedSHA256
      self.state = state
    }
  }

  /// Where the model lies, with what pins its contents.
  public let source: String
  /// The folder that was filled.
  public let output: String
  /// All files, in the order of their names.
  public internal(set) var files: [File]

  /// Bytes of all files.
  public var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

  /// The document.
  public var json: JSONValue {
    .object([
      "schema": "fathom.fetch/1", "source": .string(source), "output": .string(output),
      "bytes": .integer(byteCount),
      "files": .array(
        files.map { file in
          .object([
            "name": .string(file.name.text), "bytes": .integer(file.byteCount),
            "sha256": file.sha256.map { .string($0) } ?? .null,
            "state": .string(file.state.rawValue),
          ])
        }),
    ])
  }

  /// The line for people.
  public var text: OutputText {
    func count(_ state: State) -> Int { files.count { $0.state == state } }
    let checked = files.count { $0.sha256 != nil }
    return """
      \(output): \(files.count) files, \(ByteSize.shown(byteCount)), of \(source): \
      \(count(.fetched)) fetched, \(count(.continued)) continued, \(count(.kept)) there already; \
      the SHA-256 of \(checked) compared with the server's

      """
  }
}
