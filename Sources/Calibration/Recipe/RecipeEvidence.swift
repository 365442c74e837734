internal import Mixes
internal import Parts
package import Platform
internal import Verification

/// What an earlier recipe's search has measured, so that another size of the same model needs no search
/// of its own: the `evidence` of a recipe file.
package struct RecipeEvidence: Sendable {
  /// What losses were measured of: each by its hash, so that what differs can be named.
  struct Subject: Sendable, Equatable {
    /// The model, as reports trace it.
    let model: JSONValue
    /// How many tokens in how many sequences, and their hash.
    let tokens: JSONValue
    /// BLAKE3 of the importance matrix's file; null without one.
    let imatrix: JSONValue

    init(_ model: ModelHash, tokens sequences: [[Int]], imatrix: BLAKE3Value?) {
      self.model = model.json
      tokens = .string(PartResults.text(of: sequences))
      self.imatrix = imatrix.map { .string($0.text) } ?? .null
    }

    fileprivate init?(_ json: JSONValue?) {
      guard let model = json?["model"], let tokens = json?["tokens"], let imatrix = json?["imatrix"]
      else { return nil }
      (self.model, self.tokens, self.imatrix) = (model, tokens, imatrix)
    }

    /// As a member of the evidence.
    var json: JSONValue { .object(["model": model, "tokens": tokens, "imatrix": imatrix]) }

    /// What it is told by, and its hash.
    var parts: [(name: String, hash: JSONValue)] {
      [("model", model), ("text", tokens), ("importance matrix", imatrix)]
    }
  }

  /// What a loss is of, with what it takes: another size is another thing.
  private enum Key: Hashable {
    case group(String, parameters: Int, type: String, bytes: Int)
    case mix(String, bytes: Int)
  }

  private let path: String
  private let target: String
  private let subject: Subject?
  private var losses: [Key: Double] = [:]
  /// What whole choices lose; nil where that is not said.
  let together: JointLoss?

  /// Reads a recipe file.
  ///
  /// - Throws: `.malformed` for a file that is no recipe, or one without evidence.
  package init(path: String) throws(Fault) {
    self.path = path
    let file = try InputFile(path: path)
    guard file.size <= RecipeSize.most else {
      throw Fault(
        .malformed, "is no recipe", file: path, expected: "at most \(RecipeSize.most) bytes",
        found: "\(file.size)")
    }
    let json = try JSONValue(parsing: file.read(at: 0, count: file.size), file: path)
    guard let evidence = json["evidence"], case .array(let groups)? = evidence["groups"],
      json["schema"] == .string("fathom.recipe/1")
    else {
      throw Fault(
        .malformed, "has no measurements", file: path,
        expected: "a recipe that fathom recipe has written")
    }
    target =
      if case .string(let target)? = json["target"] { target } else { RecipeTarget.gguf.rawValue }
    subject = Subject(evidence["hashes"])
    if case .array(let choices)? = evidence["together"] {
      together = JointLoss(
        try choices.map { choice throws(Fault) in
          guard let sum = RecipeEvidence.loss(choice["klSum"]),
            let measured = RecipeEvidence.loss(choice["klMeasured"])
          else { throw RecipeEvidence.fault(choice, in: path) }
          return JointLoss.Point(sum: sum, measured: measured)
        })
    } else {
      together = nil
    }
    for group in groups {
      guard case .string(let name)? = group["name"],
        case .integer(let parameters)? = group["parameters"],
        case .array(let options)? = group["options"]
      else { throw RecipeEvidence.fault(group, in: path) }
      for option in options {
        guard case .string(let type)? = option["type"], case .integer(let bytes)? = option["bytes"],
          let loss = RecipeEvidence.loss(option["kl"])
        else { throw RecipeEvidence.fault(option, in: path) }
        losses[.group(name, parameters: parameters, type: type, bytes: bytes)] = loss
      }
    }
    guard case .array(let standards)? = evidence["standards"] else { return }
    for mix in standards {
      guard case .string(let name)? = mix["name"], case .integer(let bytes)? = mix["bytes"],
        let loss = RecipeEvidence.loss(mix["klMeasured"])
      else { throw RecipeEvidence.fault(mix, in: path) }
      losses[.mix(name, bytes: bytes)] = loss
    }
  }

  private static func fault(_ found: JSONValue, in path: String) -> Fault {
    Fault(
      .malformed, "has measurements that cannot be read", file: path,
      expected: "a recipe that fathom recipe has written", found: found.text(indent: nil))
  }

  private static func loss(_ json: JSONValue?) -> Double? {
    switch json {
    case .number(let value, _)? where value.isFinite: value
    case .integer(let value)?: Double(value)
    default: nil
    }
  }

  /// Checks that it was measured of the same.
  ///
  /// - Throws: `.usage` with what differs.
  func require(_ subject: Subject, for target: RecipeTarget) throws(Fault) {
    guard self.target == target.rawValue else {
      throw Fault(
        .usage, "is a recipe for another format", file: path, expected: target.rawValue,
        found: self.target)
    }
    guard let own = self.subject else {
      throw Fault(
        .usage, "does not say what was measured", file: path,
        expected: "a recipe of this version of fathom")
    }
    for (part, other) in zip(own.parts, subject.parts) where part.hash != other.hash {
      throw Fault(
        .usage, "was measured with another \(part.name)", file: path,
        expected: other.hash.text(indent: nil), found: part.hash.text(indent: nil))
    }
  }

  /// What a group loses in a type, where that was measured.
  func loss(of group: RecipeGroup, in type: String, bytes: Int) -> Double? {
    losses[.group(group.name, parameters: group.parameters, type: type, bytes: bytes)]
  }

  /// What a mix loses, where that was measured.
  func loss(ofMix name: String, bytes: Int) -> Double? {
    losses[.mix(name, bytes: bytes)]
  }
}
