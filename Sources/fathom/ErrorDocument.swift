internal import Platform

/// An error as a JSON object, for programs that asked for JSON (schema `fathom.error/1`).
struct ErrorDocument {
  /// The object, on one line.
  let text: OutputText

  /// Whether the arguments ask for it.
  static func isAsked(by arguments: [String]) -> Bool {
    formats(in: arguments).contains { $0 == "json" || $0 == "jsonl" }
  }

  /// The formats that arguments name, before anybody has parsed them: it may be why that fails.
  static func formats(in arguments: [String]) -> [ExactText] {
    let words = arguments.map { ExactText($0) }
    return zip(words, words.dropFirst()).filter { $0.0 == "--format" }.map(\.1)
      + words.compactMap { $0.without(prefix: "--format=") }
  }

  /// An error of the work.
  init(_ fault: Fault) {
    var object: JSONObject = [
      "schema": .string("fathom.error/1"), "exitCode": .integer(Int(fault.kind.exitCode)),
      "kind": .string(ErrorDocument.names[fault.kind] ?? ""),
      "message": .string(fault.message),
    ]
    object["file"] = fault.file.map { .string($0) }
    object["tensor"] = fault.tensor.map { .string($0.text) }
    object["offset"] = fault.offset.map { .integer(Int(clamping: $0)) }
    object["expected"] = fault.expected.map { .string($0) }
    object["found"] = fault.found.map { .string($0) }
    object["hint"] = fault.advice.map { .string($0) }
    text = JSONValue.object(object).printed(indent: nil)
  }

  /// Wrong usage, in the words that people are told.
  init(usage message: String) {
    let fault = Fault(.usage, message)
    self.init(fault)
  }

  private static let names: [Fault.Kind: String] = [
    .usage: "usage", .malformed: "malformed", .notFound: "not-found",
    .cannotCreate: "cannot-create", .inputOutput: "input-output", .interrupted: "interrupted",
  ]
}
