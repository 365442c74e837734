internal import Models
internal import Platform
internal import Text

extension ParserEntry {
  /// Lines of a `tiktoken.model`, alone and behind those of single bytes, and, behind a NUL, the
  /// `tokenizer_config.json` beside it.
  package static let tiktoken = ParserEntry("tiktoken") { (input) throws(Fault) in
    let halves = input.halves
    let settings: JSONValue =
      halves.second.isEmpty
      ? .object(["added_tokens_decoder": .object([:])])
      : try JSONValue(parsing: halves.second, file: "tokenizer_config.json")
    let alone = try refused { () throws(Fault) in
      try KimiTokenizerFiles(ranks: halves.first, settings: settings, template: nil, folder: ".")
    }
    let files = try KimiTokenizerFiles(
      ranks: singleBytes + halves.first, settings: settings, template: nil, folder: ".")
    try use(try Tokenizer(files), on: sampleText)
    let metadata = try files.ggufMetadata(config: settings, vocabSize: 4096)
    try use(try Tokenizer(metadata: metadata, file: "input.gguf"), on: sampleText)
    precondition(halves.first.isEmpty || alone.fault != nil, "one rank for two tokens")
  }

  /// The lines that every such file has.
  private static let singleBytes: [UInt8] = {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    return (0..<256).flatMap { byte in
      [letters[byte >> 2], letters[(byte & 3) << 4]] + Array("== \(byte)\n".utf8)
    }
  }()
}
