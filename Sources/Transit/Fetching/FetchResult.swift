package import Platform

/// What `fathom fetch` has done (schema `fathom.fetch/1`).
package struct FetchResult: Sendable, Hashable {
  /// How a file came to be there.
  package enum State: String, Sendable, Hashable {
    /// It was fetched.
    case fetched
    /// Its end was; an earlier run had the beginning.
    case continued
    /// It was there already, with these contents.
    case kept
  }

  /// A file of the model.
  package struct File: Sendable, Hashable {
    /// Its name.
    package let name: ExactText
    /// Its size.
    package let byteCount: Int
    /// Its SHA-256, where the server says it: what is there was compared with it.
    package let sha256: String?
    /// How it came to be there.
    package let state: State

    init(_ file: ModelFetch.File, _ state: State) {
      name = file.name
      byteCount = file.file.size
      sha256 = file.file.statedSHA256
      self.state = state
    }
  }

  /// Where the model lies, with what pins its contents.
  package let source: String
  /// The folder that was filled.
  package let output: String
  /// All files, in the order of their names.
  package internal(set) var files: [File]

  /// Bytes of all files.
  package var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

  /// The document.
  package var json: JSONValue {
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
  package var text: OutputText {
    func count(_ state: State) -> Int { files.count { $0.state == state } }
    let checked = files.count { $0.sha256 != nil }
    return """
      \(output): \(files.count) files, \(ByteSize.shown(byteCount)), of \(source): \
      \(count(.fetched)) fetched, \(count(.continued)) continued, \(count(.kept)) there already; \
      the SHA-256 of \(checked) compared with the server's

      """
  }
}
