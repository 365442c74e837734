package import Models
package import Platform

/// Something that `validate` found wrong with a checkpoint, about one tensor or many alike.
package struct Finding: Sendable, Hashable {
  /// The rules of the contract, and `malformedShard` for files that cannot be parsed at all.
  package enum Rule: String, Sendable, CaseIterable {
    case missingTensor = "missing-tensor"
    case unexpectedTensor = "unexpected-tensor"
    case wrongShape = "wrong-shape"
    case wrongType = "wrong-type"
    case missingScale = "missing-scale"
    case orphanScale = "orphan-scale"
    case wrongScaleShape = "wrong-scale-shape"
    case missingShard = "missing-shard"
    case truncatedShard = "truncated-shard"
    case malformedShard = "malformed-shard"
    case indexMismatch = "index-mismatch"
    case strayFile = "stray-file"
    case duplicateTensor = "duplicate-tensor"
    case mtpMismatch = "mtp-mismatch"
    case nonFinite = "non-finite"
    case zeroRows = "zero-rows"
    case zeroExtent = "zero-extent"
    case badScale = "bad-scale"
    case sharedCopyDiffers = "shared-copy-differs"
    case metadataMismatch = "metadata-mismatch"
    case manifestMismatch = "manifest-mismatch"
    case wrongFile = "wrong-file"
    case foreignModel = "foreign-model"
  }

  /// Whether it makes the checkpoint invalid.
  package enum Severity: String, Sendable {
    /// The checkpoint cannot be used as it is, or computes something else than its source.
    case error
    /// Worth knowing; the checkpoint works.
    case warning
  }

  /// The rule that is broken.
  package let rule: Rule
  /// How bad it is.
  package let severity: Severity
  /// The (first) tensor concerned, nil where none is.
  package let tensor: ExactText?
  /// The (first) file concerned.
  package let file: String?
  /// What the config, the header or the format implies.
  package let expected: String?
  /// What is there instead.
  package let found: String?
  /// The most likely cause, or what to do.
  package let hint: String?
  /// How many tensors, or files, are concerned alike.
  package var count: Int
  /// How many routed experts those belong to; 0 where none does.
  package var experts: Int
  /// The first names of those, `tensor` being the first; empty where no tensor is concerned.
  package var examples: [ExactText]

  /// Makes a finding about one tensor or file.
  package init(
    _ rule: Rule, _ severity: Severity = .error, tensor: ExactText? = nil, file: String? = nil,
    expected: String? = nil, found: String? = nil, hint: String? = nil
  ) {
    self.rule = rule
    self.severity = severity
    self.tensor = tensor
    self.file = file
    self.expected = expected
    self.found = found
    self.hint = hint
    count = 1
    experts = 0
    examples = tensor.map { [$0] } ?? []
  }
}

extension Finding {
  /// The same about tensors of other names.
  package func renamed(_ name: (ExactText) -> ExactText) -> Finding {
    var finding = Finding(
      rule, severity, tensor: tensor.map(name), file: file, expected: expected, found: found,
      hint: hint)
    finding.count = count
    finding.experts = experts
    finding.examples = examples.map(name)
    return finding
  }

  /// What loaders of a format make of a model otherwise than the model is, a warning each.
  package static func limits(
    _ limits: [LoaderLimit], of config: ModelConfig, file: String
  ) -> [Finding] {
    LoaderLimit.lines(limits, for: config).map { line in
      Finding(
        .metadataMismatch, .warning, file: file,
        expected: "a model that its loader computes as it is", found: line)
    }
  }

  /// The network can be computed with either scoring, yet it was trained with one.
  package static func scoring(_ config: ModelConfig, file: String, key: String) -> Finding? {
    let expected = config.architecture.scoring
    guard config.scoring != expected else { return nil }
    return Finding(
      .metadataMismatch, file: file, expected: "\(key) \(expected)",
      found: config.scoring.rawValue,
      hint: expected == .sigmoid
        ? "DeepSeek-V3's routers take sigmoids: tokens go to other experts now"
        : "DeepSeek-V2's routers take a softmax: tokens go to other experts now")
  }
}

/// Collects findings and joins those that are alike.
package struct FindingCollector {
  /// Names that a joined finding keeps.
  package static let exampleLimit = 5
  /// Findings that are told apart: no checkpoint comes near, and a header of made-up names must not
  /// make the report larger than memory.
  package static let mostFindings = 10_000

  private(set) var findings: [Finding] = []
  private var groups: [String: Int] = [:]
  private var experts: [Int: Set<ExactText>] = [:]

  /// Adds a finding; those with the same rule, severity and pattern become one.
  ///
  /// - Parameter pattern: what makes findings alike; nil keeps this one apart.
  package mutating func add(_ finding: Finding, pattern: String?) {
    let kind = "\(finding.rule.rawValue) \(finding.severity.rawValue)"
    let key = pattern.map { "\(kind) \($0)" }
    if let index = key.flatMap({ groups[$0] }) {
      findings[index].count += 1
      countExpert(of: finding, in: index)
      if findings[index].examples.count < Self.exampleLimit, let tensor = finding.tensor {
        findings[index].examples.append(tensor)
      }
    } else if findings.count < Self.mostFindings {
      findings.append(finding)
      guard let key else { return }
      groups[key] = findings.count - 1
      countExpert(of: finding, in: findings.count - 1)
    } else if let index = groups[kind] {
      findings[index].count += 1
    } else {
      groups[kind] = findings.count
      findings.append(
        Finding(
          finding.rule, finding.severity, tensor: finding.tensor, file: finding.file,
          hint: "not alike, but counted together: there are more than \(Self.mostFindings) findings"
        ))
    }
  }

  /// Takes over what was found of zeros.
  mutating func add(_ extents: ZeroExtents) {
    for finding in extents.findings.findings where findings.count < Self.mostFindings {
      findings.append(finding)
    }
  }

  private mutating func countExpert(of finding: Finding, in index: Int) {
    guard let name = finding.tensor else { return }
    let parts = name.split(separator: ".")
    guard let place = parts.firstIndex(of: "experts"), parts.count > place + 1 else { return }
    // The name up to the expert's number, layer included.
    experts[index, default: []].insert(
      ExactText(parts[...(place + 1)].joined(separator: ".")))
    findings[index].experts = experts[index]?.count ?? 0
  }

  /// A tensor's name with its layer and expert left open; for a routed expert, which of its three
  /// matrices is left open too, so that a missing expert is one thing and not three.
  package static func pattern(of name: ExactText, wholeExperts: Bool) -> String {
    var parts: [ExactText] = []
    for part in name.split(separator: ".") {
      parts.append(Int(part.text) == nil ? part : "*")
    }
    if wholeExperts, let index = parts.firstIndex(of: "experts"), parts.count > index + 2 {
      parts.removeSubrange((index + 2)...)
    }
    return parts.joined(separator: ".")
  }
}
