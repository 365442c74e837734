internal import Models
package import Platform
internal import Text

/// What a model is run on.
package enum ModelInput: Sendable {
  /// Token ids from a file that `TokenInput` reads.
  case tokens(path: String)
  /// A text, which the model's tokenizer turns into ids.
  ///
  /// - path: a file in UTF-8.
  /// - isChat: whether the text is one message of a user, with the model's chat template around it.
  /// - limit: ids to keep, the first ones; nil for all.
  case text(path: String, isChat: Bool, limit: Int?)

  /// Largest text that is read, in bytes.
  private static let textLimit = 64 << 20

  /// Reads the file.
  ///
  /// - Parameter model: whose tokenizer is used, and whose vocabulary has the ids of a text.
  /// - Returns: sequences of ids, and what the user should know of them.
  /// - Throws: `.notFound` and `.inputOutput` for the file; `.malformed` for what is no list of ids
  ///   or no UTF-8, and for ids that the model does not have; what `ModelFiles.tokenizer` throws.
  package func read(
    for model: ModelFiles
  ) throws(Fault) -> (sequences: [[Int]], notes: [String]) {
    switch self {
    case .tokens(let path): return (try TokenInput.read(path), [])
    case .text:
      let (ids, notes) = try ids(of: model, model.tokenizer())
      return ([ids], notes)
    }
  }

  /// Reads the file: a text in pieces of `chunkSize` tokens, see `ChunkedText`; token ids in the
  /// sequences that they come in.
  ///
  /// - Returns: as `read(for:)` does, what fills no piece among the notes.
  /// - Throws: as `read(for:)` does.
  package func read(
    for model: ModelFiles, chunkSize: Int
  ) throws(Fault) -> (sequences: [[Int]], notes: [String]) {
    guard case .text = self else { return try read(for: model) }
    let tokenizer = try model.tokenizer()
    let (ids, notes) = try ids(of: model, tokenizer)
    // What every text of the model begins with.
    let begin = try tokenizer.encode("", addingSpecialTokens: true).first
    let chunks = ChunkedText(ids, size: chunkSize, begin: begin == ids.first ? begin : nil)
    guard chunks.remainder > 0 else { return (chunks.sequences, notes) }
    return (
      chunks.sequences,
      notes + ["the last \(chunks.remainder) tokens of the text fill no chunk and are left out"]
    )
  }

  /// The ids of a text, one at least.
  private func ids(
    of model: ModelFiles, _ tokenizer: Tokenizer
  ) throws(Fault) -> (ids: [Int], notes: [String]) {
    guard case .text(let path, let isChat, let limit) = self else { return ([], []) }
    let bytes = try InputFile.contents(of: path, limit: ModelInput.textLimit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Fault(.malformed, "is not UTF-8", file: path)
    }
    let ids =
      try isChat
      ? tokenizer.encode(chat: text) : tokenizer.encode(text, addingSpecialTokens: true)
    guard !ids.isEmpty else { throw Fault(.malformed, "gives no tokens", file: path) }
    if let strange = ids.first(where: { $0 >= model.config.vocabSize }) {
      throw Fault(
        .malformed, "gives an id that the model does not have", file: tokenizer.file,
        expected: "at most \(model.config.vocabSize - 1)", found: "\(strange)")
    }
    guard let limit, limit < ids.count else { return (ids, []) }
    return (Array(ids.prefix(limit)), ["the first \(limit) of the text's \(ids.count) tokens"])
  }
}
