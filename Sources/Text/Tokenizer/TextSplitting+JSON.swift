internal import Patterns
internal import Platform

extension TextSplitting {
  /// Most steps that a sequence may have; DeepSeek's have four to seven.
  private static let stepLimit = 64

  /// Reads `pre_tokenizer` of `tokenizer.json`: `Split`, `Digits` and `ByteLevel`, alone or in a
  /// `Sequence` that ends with `ByteLevel`.
  ///
  /// - Throws: `.malformed` for any other, and for a pattern that cannot be compiled.
  init(json: JSONValue?, file: String) throws(Fault) {
    let rows = try TextSplitting.sequence(json, file: file)
    guard let last = rows.last, last["type"] == .string("ByteLevel") else {
      throw Fault(
        .malformed, "has a pre-tokenizer that is not byte-level", file: file,
        expected: "ByteLevel, or a Sequence that ends with it", found: TextSplitting.name(rows.last)
      )
    }
    var steps: [Step] = []
    do throws(Fault) {
      for row in rows.dropLast() { steps.append(try TextSplitting.step(row)) }
      if last["add_prefix_space"] != .bool(false) { steps.append(.spaceBefore) }
      // Absent in files older than the setting: then the pattern is used.
      if last["use_regex"] != .bool(false) {
        steps.append(.split(try RegularExpression(TextSplitting.gpt2), .isolated, inverted: false))
      }
    } catch {
      var fault = error
      fault.file = file
      throw fault
    }
    self.steps = steps
  }

  /// The pre-tokenizers in order; sequences may stand within sequences.
  private static func sequence(_ json: JSONValue?, file: String) throws(Fault) -> [JSONValue] {
    guard let json else { return [] }
    guard json["type"] == .string("Sequence") else { return [json] }
    guard case .array(let rows)? = json["pretokenizers"] else {
      throw Fault(.malformed, "has a sequence of pre-tokenizers without any", file: file)
    }
    var flat: [JSONValue] = []
    for row in rows { flat += try sequence(row, file: file) }
    guard flat.count <= stepLimit else {
      throw Fault(
        .malformed, "has too many pre-tokenizers", file: file,
        expected: "at most \(stepLimit)", found: "\(flat.count)")
    }
    return flat
  }

  private static func step(_ row: JSONValue) throws(Fault) -> Step {
    switch row["type"] {
    case .string("Split"):
      guard case .string(let name)? = row["behavior"], let behavior = Behavior(rawValue: name)
      else {
        throw Fault(
          .malformed, "has a pre-tokenizer Split without a behavior that is known",
          found: row["behavior"]?.text(indent: nil))
      }
      let pattern: String
      if case .string(let text)? = row["pattern"]?["Regex"] {
        pattern = text
      } else if case .string(let text)? = row["pattern"]?["String"] {
        pattern = escaped(text)
      } else {
        throw Fault(
          .malformed, "has a pre-tokenizer Split without a pattern", expected: "Regex or String",
          found: row["pattern"]?.text(indent: nil))
      }
      return .split(
        try RegularExpression(pattern), behavior, inverted: row["invert"] == .bool(true))
    case .string("Digits"):
      return .split(
        try RegularExpression(#"\p{N}"#),
        row["individual_digits"] == .bool(true) ? .isolated : .contiguous, inverted: false)
    default:
      throw Fault(
        .malformed, "has a pre-tokenizer that is not supported",
        expected: "Split, Digits, and ByteLevel as the last", found: name(row))
    }
  }

  private static func name(_ row: JSONValue?) -> String {
    guard case .string(let name)? = row?["type"] else { return row?.text(indent: nil) ?? "none" }
    return name
  }

  /// A pattern that matches a text and nothing else.
  private static func escaped(_ text: String) -> String {
    var pattern = ""
    for scalar in text.unicodeScalars {
      if #".\+*?()|[]{}^$#&-~"#.unicodeScalars.contains(scalar) { pattern += "\\" }
      pattern.unicodeScalars.append(scalar)
    }
    return pattern
  }
}
