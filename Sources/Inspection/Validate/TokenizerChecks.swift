internal import Models
internal import Platform
internal import Text

/// What `validate` says of the tokenizer beside a checkpoint.
enum TokenizerChecks {
  /// A tokenizer that cannot be read, or that gives ids for which the embedding has no row.
  ///
  /// - Throws: `.inputOutput` where reading fails.
  static func findings(folder: String, _ config: ModelConfig) throws(Fault) -> [Finding] {
    let files: CheckpointTokenizer?
    do throws(Fault) { files = try CheckpointTokenizer.read(in: folder) } catch {
      guard error.kind != .inputOutput else { throw error }
      return [
        Finding(
          .metadataMismatch, file: error.file.map { Folder.name(of: $0).text },
          expected: error.expected ?? "a tokenizer that can be read",
          found: [error.message, error.found].compactMap(\.self).joined(separator: ": "),
          hint: "download it again: without it the model takes no text")
      ]
    }
    guard let (id, text) = files?.largestID, id >= config.vocabSize else { return [] }
    return [
      Finding(
        .metadataMismatch, file: "config.json",
        expected: "ids below vocab_size, \(config.vocabSize)",
        found: "id \(id)" + (text.map { ", \($0)" } ?? "") + " in the tokenizer",
        hint: "tokens were added and the embedding has no row for them: resize it, or take the "
          + "tokenizer that the model was trained with")
    ]
  }
}
