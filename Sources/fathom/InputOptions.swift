internal import ArgumentParser
internal import Passes
internal import Platform
internal import Reports

extension Forecast {
  /// Says it before the work begins, where progress may be shown.
  func announce(_ mode: ProgressLine.Mode) {
    if mode != .never { Console.message("fathom: \(text)") }
  }
}

/// What a model is run on: tokens or a text.
struct InputOptions: ParsableArguments {
  @Option(
    help: "Token ids: JSON [ids] or [[ids], …], or safetensors with input_ids [batch, tokens].")
  var tokens: String?

  @Option(
    help: """
      A text in UTF-8, for the model's own tokenizer (of the reference, where there are two \
      models); special tokens such as the begin token are added as the tokenizer says.
      """)
  var text: String?

  @Flag(
    help: """
      Take the text as one message of a user: the model's chat template is put around it, up to \
      where the answer begins.
      """)
  var chat = false

  @Option(
    help: ArgumentHelp(
      """
      Keep the first N tokens of the text. Without it all are run, however many; the time that \
      attention takes grows with the square of their number.
      """, valueName: "N"))
  var maxTokens: Int?

  func validate() throws {
    if tokens != nil, text != nil {
      throw ValidationError("--tokens and --text exclude each other")
    }
    if text == nil, chat { throw ValidationError("--chat goes with --text") }
    if let maxTokens {
      guard text != nil else { throw ValidationError("--max-tokens goes with --text") }
      guard maxTokens > 0 else { throw ValidationError("--max-tokens takes a number from 1 on") }
    }
  }

  /// The files that it is read from.
  var files: [String?] { [tokens, text] }

  /// The input that was asked for, if one was.
  var chosen: ModelInput? {
    if let tokens { return .tokens(path: tokens) }
    return text.map { .text(path: $0, isChat: chat, limit: maxTokens) }
  }
}
