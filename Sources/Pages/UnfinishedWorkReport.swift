package import Conversion
package import Platform
internal import Reports

/// What is said of unfinished work (schema `fathom.resume/1`).
extension UnfinishedWork {
  /// The document.
  package var json: JSONValue {
    var object: JSONObject = [
      "schema": .string("fathom.resume/1"), "folder": .string(folder),
      "state": .string(state.rawValue), "onlyCopy": .bool(!gone.isEmpty),
      "protected": .bool(isProtected), "safeBytes": .integer(safeBytes),
    ]
    if let version { object["version"] = .string(version) }
    if let recipe { object["recipe"] = recipe }
    if let origin {
      if let layers {
        object["layers"] = .integer(layers.all)
        object["safeLayers"] = .integer(layers.safe)
      } else {
        object["bytes"] = .integer(origin.byteCount)
      }
      object["source"] = .object([
        "path": .string(origin.source),
        "files": .array(
          source.map { file in
            .object([
              "name": .string(file.name.text), "bytes": .integer(file.byteCount),
              "there": .bool(file.isThere), "deleted": .bool(file.isGone),
            ])
          }),
      ])
      object["output"] = .object([
        "path": .string(origin.output),
        "files": .array(
          output.map { file in
            .object([
              "name": .string(file.name.text), "bytes": .integer(file.byteCount),
              "safeBytes": .integer(file.safeBytes),
            ])
          }),
      ])
    }
    if !parts.isEmpty {
      object["parts"] = .array(
        parts.map { part in
          .object([
            "number": .integer(part.number), "state": .string(part.condition.rawValue),
            "bytes": part.byteCount.map { .integer($0) } ?? .null,
            "safeBytes": .integer(part.safeBytes),
          ])
        })
    }
    if let command { object["command"] = .string(command) }
    object["problems"] = .array(problems.map { .string($0) })
    object["choices"] = .array(choices.map { .string($0) })
    return .object(object)
  }

  /// The same for people.
  package var text: OutputText {
    var lines: [OutputText] = ["\(folder): \(title)"]
    func line(_ key: String, _ value: OutputText) {
      let gap = OutputText(
        document: String(repeating: " ", count: max(1, 10 - key.utf8.count)))
      lines.append("  \(key)" + gap + value)
    }
    if let version, let origin {
      line("begun", "by fathom \(version) in \(origin.folder)")
      line("source", "\(origin.source), \(Quantity.plural(source.count, "file"))")
      line("output", "\(origin.output)")
    }
    if let recipe { line("recipe", OutputText(document: recipe.printed(indent: nil).text)) }
    if let layers {
      line("safe", "\(layers.safe) of \(Quantity.plural(layers.all, "layer"))")
    } else if let origin {
      line("safe", "\(Quantity.bytes(safeBytes)) of \(Quantity.bytes(origin.byteCount))")
    }
    for condition in [PartState.Condition.complete, .running, .unfinished, .missing, .damaged] {
      let numbers = parts.filter { $0.condition == condition }.map { "\($0.number)" }
      guard !numbers.isEmpty else { continue }
      line("parts", "\(condition.rawValue): \(numbers.joined(separator: ", ")) of \(parts.count)")
    }
    if let first = gone.first {
      let names: OutputText = "\(first.name)\(gone.count > 1 ? ", …" : "")"
      line("deleted", "\(Quantity.plural(gone.count, "source file")): \(names)")
      line("only copy", "yes, of what was in \(gone.count == 1 ? "it" : "them")")
    } else if origin != nil {
      line("only copy", "no")
    }
    for problem in problems { line("problem", "\(problem)") }
    // They hold a command whose words are quoted for a shell, and nothing else from outside.
    for choice in choices { line("choice", OutputText(document: choice)) }
    return lines.joined(separator: "\n") + "\n"
  }

  private var title: String {
    switch state {
    case .resumable:
      layers == nil ? "unfinished work of a conversion" : "unfinished work of an importance matrix"
    case .running: "a run of fathom is at work here"
    case .damaged: "unfinished work of which it is not known what was begun"
    case .expendable: "what a run has left that is of no more use"
    }
  }

  /// The command that goes on with it, as a shell takes it; nil where there is none.
  package var command: String? {
    guard let origin, !origin.command.isEmpty, state == .resumable || state == .running else {
      return nil
    }
    var words = origin.command
    if words.contains(where: { ExactText($0) == ExactText("--finish") }) {
      // It brings what is missing from where that was written.
    } else if !parts.isEmpty {
      // The command was that of any part.
      words = UnfinishedWork.leavingOutPart(words)
      let next = parts.first { $0.condition != .complete && $0.condition != .running }
      words += next.map { ["--part", "\($0.number)/\(parts.count)"] } ?? ["--finish"]
    } else if !words.contains(where: { ExactText($0) == ExactText("--resume") }) {
      words.append("--resume")
    }
    return "cd \(shellWord(origin.folder)) && fathom "
      + words.map(shellWord).joined(separator: " ")
  }

  private static func leavingOutPart(_ words: [String]) -> [String] {
    var result: [String] = []
    var skipsNext = false
    for word in words {
      if skipsNext || word.hasPrefix("--part=") {
        skipsNext = false
      } else if ExactText(word) == ExactText("--part") {
        skipsNext = true
      } else {
        result.append(word)
      }
    }
    return result
  }

  /// What can be done, a sentence each.
  package var choices: [String] {
    switch state {
    case .running: return ["wait until that run ends"]
    case .expendable: return ["any command that writes this output removes it"]
    case .resumable, .damaged: break
    }
    var choices: [String] = []
    if state == .resumable {
      choices.append("go on: " + (command ?? "the command that began it, with --resume"))
    }
    if !gone.isEmpty {
      choices.append("do not remove the folder: what was in the deleted files is here alone")
    } else if state == .damaged {
      choices.append(
        "look into the folder: no command empties it, and output/ has what was written")
      choices.append("give it up: remove the folder")
    } else {
      choices.append(
        isProtected || !parts.isEmpty
          ? "give it up: remove the folder" : "begin anew: the same command with --overwrite")
    }
    return choices
  }
}

/// A word as a POSIX shell reads it back; what cannot be shown stands as its bytes.
private func shellWord(_ word: String) -> String {
  func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "_-./=:,@%+".utf8.contains(byte)
    }
  }
  if !word.isEmpty, word.utf8.allSatisfy(isPlain) { return word }
  guard word.unicodeScalars.allSatisfy({ !$0.hidesOrSpaces || $0 == " " })
  else {
    let bytes = word.utf8.map { byte in
      if isPlain(byte) { return String(UnicodeScalar(byte)) }
      let digits = String(byte, radix: 8)
      return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
    }
    return "$'" + bytes.joined() + "'"
  }
  // By scalars: a mark that combines with a quote does not take its meaning.
  return "'" + word.unicodeScalars.map { $0 == "'" ? #"'\''"# : String($0) }.joined() + "'"
}
