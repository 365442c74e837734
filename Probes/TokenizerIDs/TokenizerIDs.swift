import Formats
import Glibc
import Models
import Platform
import Tensors
import Text

/// Prints the ids of texts, for comparison with other tokenizers, or how fast they are found:
///
///     tokenizer-ids MODEL TEXTS.json    # a JSON list of texts → a JSON list of lists of ids
///     tokenizer-ids MODEL --chat TEXTS.json   # the same for each text as a user's message
///     tokenizer-ids MODEL --time FILE   # megabytes per second for one long text
///
/// MODEL is a folder with tokenizer.json or tiktoken.model, or a GGUF file. Special tokens are added, and every text
/// is decoded again; the exit code is 1 where it does not come back.
@main
enum TokenizerIDs {
  static func main() {
    do {
      let arguments = CommandLine.arguments.dropFirst()
      guard let model = arguments.first, let last = arguments.last, arguments.count > 1 else {
        print("usage: tokenizer-ids MODEL [--chat] TEXTS.json | MODEL --time FILE")
        exit(64)
      }
      let clock = ContinuousClock()
      let start = clock.now
      let tokenizer = try tokenizer(of: model)
      let made = clock.now - start
      if arguments.contains("--time") {
        try time(tokenizer, file: last, made: made)
      } else {
        try list(tokenizer, file: last, chat: arguments.contains("--chat"))
      }
    } catch {
      print("\(error)")
      exit(65)
    }
  }

  private static func tokenizer(of model: String) throws -> Tokenizer {
    if model.hasSuffix(".gguf") {
      let metadata = try GGUFHeader(InputFile(path: model), shard: 0).metadata
      return try Tokenizer(metadata: metadata, file: model)
    }
    guard let files = try CheckpointTokenizer.read(in: model) else {
      throw Fault(.notFound, "has no tokenizer.json and no tiktoken.model", file: model)
    }
    return try files.tokenizer(folder: model)
  }

  private static func list(_ tokenizer: Tokenizer, file: String, chat: Bool) throws {
    let bytes = try InputFile.contents(of: file, limit: 1 << 28)
    guard case .array(let texts) = try JSONValue(parsing: bytes, file: file) else {
      throw Fault(.malformed, "is no list", file: file)
    }
    var lists: [JSONValue] = []
    var failed = false
    for text in texts {
      guard case .string(let text) = text else { continue }
      let ids =
        try chat
        ? tokenizer.encode(chat: text) : tokenizer.encode(text, addingSpecialTokens: true)
      let bare = try tokenizer.encode(text, addingSpecialTokens: false)
      failed = failed || tokenizer.decode(bare) != Array(text.utf8)
      lists.append(.array(ids.map { .integer($0) }))
    }
    print(JSONValue.array(lists).text(indent: nil))
    if failed { exit(1) }
  }

  private static func time(_ tokenizer: Tokenizer, file: String, made: Duration) throws {
    let bytes = try InputFile.contents(of: file, limit: 1 << 28)
    let text = String(decoding: bytes, as: UTF8.self)
    let clock = ContinuousClock()
    let start = clock.now
    let count = try tokenizer.encode(text, addingSpecialTokens: false).count
    let seconds = (clock.now - start) / .seconds(1)
    print("made in \(made); \(count) tokens, \(Double(bytes.count) / 1e6 / seconds) MB/s")
  }
}
