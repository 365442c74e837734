/// What an output may take the place of.
package struct Replaceable: Sendable {
  /// In words: `a GGUF file`.
  package let expected: String
  /// What is said of anything else: `is no GGUF file and is not replaced`.
  package let refusal: String
  /// What stands in the way, for people; nil where nothing does.
  package let obstacle: @Sendable (Standing) throws(Fault) -> String?

  /// Describes what may be replaced.
  package init(
    _ expected: String, refusal: String,
    obstacle: @escaping @Sendable (Standing) throws(Fault) -> String?
  ) {
    self.expected = expected
    self.refusal = refusal
    self.obstacle = obstacle
  }

  /// A file of any contents, or a folder that holds no folder.
  package static let files = Replaceable(
    "a file, or a folder of files alone", refusal: "is not replaced"
  ) { standing in
    standing.entries?.first { !$0.isFileOrLink }?.shown
  }

  /// Throws `.cannotCreate` for anything else.
  func require(_ standing: Standing) throws(Fault) {
    guard let found = try obstacle(standing) else { return }
    throw Fault(
      .cannotCreate, refusal, file: standing.path, expected: expected,
      found: found.isEmpty ? nil : found)
  }
}

/// A file beside others that speaks of them: it is of no use once they are gone.
package struct Companion: Sendable {
  /// Its name.
  package let name: ExactText
  /// The names of the files that a document speaks of; nil for what is no such document.
  package let files: @Sendable (Standing) throws(Fault) -> [ExactText]?

  /// Names a companion.
  package init(
    _ name: ExactText, files: @escaping @Sendable (Standing) throws(Fault) -> [ExactText]?
  ) {
    self.name = name
    self.files = files
  }

  /// Replaces its like alone.
  var replaceable: Replaceable {
    let files = files
    return Replaceable("such a document", refusal: "is none of fathom's and is not replaced") {
      standing throws(Fault) in
      guard standing.kind == .file, try files(standing) != nil else { return "another file" }
      return nil
    }
  }
}
