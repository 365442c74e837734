internal import Patterns
package import Platform

/// A byte-level BPE tokenizer: turns text into the ids that a model was trained on, and back.
///
/// Equal to Hugging Face's tokenizers, version 0.23, on the same `tokenizer.json`; what that library
/// does and this does not, it refuses when it is made. Equal to Kimi's own code on a `tiktoken.model`.
package struct Tokenizer: Sendable {
  /// The file that it was made from, for messages.
  package let file: String
  /// The chat template, in the language of Jinja; nil where the model has none.
  package let chatTemplate: String?
  /// The file that the template stands in, for messages.
  let templateFile: String
  /// Texts of the special tokens that chat templates name: `bos_token`, `eos_token` and so on.
  package let specialTexts: [String: String]

  /// What each id stands for.
  let texts: [Int: [UInt8]]
  let pairs: BytePairs
  let added: AddedTokens
  let splitting: TextSplitting
  /// Where a text is cut before all else; nil for tokenizers that take it whole.
  let runs: TextRuns?
  /// Ids around every text.
  let prefix: [Int]
  let suffix: [Int]

  /// Turns a text into ids.
  ///
  /// - Parameters:
  ///   - text: any text; added tokens such as `<｜User｜>` are found in it.
  ///   - addingSpecialTokens: whether the tokens that the post-processor puts around a text (the
  ///     begin token, with most models that have one) are put around this one.
  /// - Throws: `.malformed` where the vocabulary has no token for a byte of the text, or a pattern
  ///   of the pre-tokenizer does not come to an end.
  package func encode(_ text: String, addingSpecialTokens: Bool) throws(Fault) -> [Int] {
    let bytes = Array(text.utf8)
    var ids = addingSpecialTokens ? prefix : []
    var encoder = BytePairEncoder(pairs)
    var budget = MatchingBudget(bytes: bytes.count)
    let runs = runs?.parts(of: bytes) ?? [0..<bytes.count]
    for part in runs.flatMap({ added.parts(of: bytes, in: $0) }) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range):
        let (text, pieces) = try splitting.pieces(of: bytes, [range], within: &budget)
        for piece in pieces {
          if let byte = encoder.encode(text[piece], into: &ids) {
            throw Fault(
              .malformed, "has no token for a byte of the text", file: file,
              expected: "a token for every byte", found: "0x" + String(byte, radix: 16))
          }
        }
      }
    }
    return addingSpecialTokens ? ids + suffix : ids
  }

  /// The bytes that ids stand for, one after the other: not always UTF-8, as a token may be a part
  /// of a character.
  ///
  /// - Returns: nil where an id stands for nothing.
  package func decode(_ ids: [Int]) -> [UInt8]? {
    var bytes: [UInt8] = []
    for id in ids {
      guard let text = texts[id] else { return nil }
      bytes += text
    }
    return bytes
  }
}

extension Tokenizer {
  /// The ids that the model is given for one message of a user, by its chat template.
  ///
  /// The template puts special tokens where they belong, so that none are added to its text.
  ///
  /// - Throws: `.notFound` where the model has no chat template, and what template and `encode`
  ///   throw.
  package func encode(chat message: String) throws(Fault) -> [Int] {
    guard let chatTemplate else {
      throw Fault(
        .notFound, "has no chat template", file: file,
        expected: "chat_template.jinja, or chat_template in tokenizer_config.json or GGUF metadata")
    }
    let prompt = try ChatTemplate(chatTemplate, file: templateFile).prompt(
      user: message, specialTexts: specialTexts)
    return try encode(prompt, addingSpecialTokens: false)
  }
}
