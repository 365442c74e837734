package import Models
internal import Naming
package import Platform

/// What a model's files hold that may belong to the network and that is not known: computing on
/// without it would be computing another network.
package struct Unknowns: Sendable, Hashable {
  /// Tensors of one kind.
  package struct Tensors: Sendable, Hashable {
    /// What they are, for people; nil where the names say nothing.
    package let kind: String?
    /// Their names, in the order of the files.
    package internal(set) var names: [ExactText]
  }

  /// A key that changes what is computed.
  package typealias Key = UnknownKey

  /// Tensors that the config does not imply, a group for each kind.
  package private(set) var tensors: [Tensors] = []
  /// Keys of the network's config that are passed over.
  package private(set) var keys: [Key] = []
  /// Tensors that no pass needs, a group for each kind.
  package private(set) var harmless: [Tensors] = []
  /// Keys of which nothing is known.
  package private(set) var unfamiliar: [String] = []

  /// Settings that stand in two spellings and disagree.
  package private(set) var contradictions: [Contradiction] = []

  /// Two spellings of one setting.
  package struct Contradiction: Sendable, Hashable {
    /// The one that counts, with what it says.
    package let counts: String
    /// The other.
    package let other: String
  }

  /// Keys that are absent and for which transformers and mlx-lm take different values, a line each.
  package private(set) var ambiguous: [String] = []

  /// Makes an empty list.
  package init() {}

  /// Whether all is known that may matter.
  package var isEmpty: Bool { tensors.isEmpty && keys.isEmpty }

  /// Adds a tensor that no config implies, by what it is where its name tells, and whether any pass
  /// may need it.
  package mutating func add(tensor name: ExactText, kind: String?, isHarmless: Bool) {
    let path: WritableKeyPath<Unknowns, [Tensors]> = isHarmless ? \.harmless : \.tensors
    if let index = self[keyPath: path].firstIndex(where: { $0.kind == kind }) {
      self[keyPath: path][index].names.append(name)
    } else {
      self[keyPath: path].append(Tensors(kind: kind, names: [name]))
    }
  }

  /// Adds what the network's part of a `config.json` says in keys that it is not built from.
  private mutating func add(section: JSONValue, _ config: ModelConfig) {
    guard case .object(let object) = section else { return }
    let read = ConfigVocabulary.read.union(
      ConfigVocabulary.readOfIndexer(config.architecture.indexing)
    ).union(ConfigVocabulary.readOfStreams(config))
    for name in object.keys {
      guard let value = object[name], !read.contains(name), !config.isUnused(name, value)
      else { continue }
      if let foreign = ConfigVocabulary.foreign(name) {
        if !foreign.isNeutral(value, in: object) { add(name, value, foreign.meaning) }
      } else if !ConfigVocabulary.isHarmless(name) {
        unfamiliar.append(name)
      }
    }
    // transformers and mlx-lm compute the network without it, DeepSeek's own code with it.
    if config.architecture.hasExperts, !config.architecture.canNormalize,
      object["norm_topk_prob"] == .bool(true)
    {
      add("norm_topk_prob", .bool(true), "DeepSeek's code divides by the sum, other loaders do not")
    }
    addContradictions(in: object)
    ambiguous += config.architecture.ambiguities(of: object)
    var sections = ["rope_scaling", "rope_parameters"].map { ($0, object[$0]) }
    if config.v4 != nil {
      for kind in ["main", "compress"] {
        sections.append(("rope_parameters.\(kind)", object["rope_parameters"]?[kind]))
      }
    }
    for (rope, section) in sections {
      guard case .object(let positions)? = section else { continue }
      for name in positions.keys where !ConfigVocabulary.readOfPositions.contains(name) {
        guard let value = positions[name], !config.isReadOfPositions(name, value),
          !(ConfigVocabulary.foreign(name) ?? .nothing).isNeutral(value, in: positions)
        else { continue }
        add("\(rope).\(name)", value, ConfigVocabulary.foreign(name)?.meaning ?? "positions")
      }
    }
  }

  /// Adds keys of a GGUF file's metadata.
  package mutating func add(keys found: [UnknownKey]) { keys += found }

  /// Adds keys of a config, be it in DeepSeek's own keys.
  ///
  /// - Parameters:
  ///   - document: all of it.
  ///   - config: what was read from it.
  package mutating func add(keysOf document: JSONValue, config: ModelConfig) {
    if MistralConfig.isMistral(document) {
      keys += MistralConfig.unknown(in: document).map(Unknowns.explained)
    } else if NativeSource.isNative(document) {
      keys += NativeConfig.unknown(in: document).map(Unknowns.explained)
    } else {
      add(section: config.section(of: document), config)
    }
  }

  /// A key with what is known of its last component.
  private static func explained(_ key: Key) -> Key {
    let last = key.name.split(separator: ".").last.map(String.init) ?? key.name
    return Key(name: key.name, value: key.value, meaning: ConfigVocabulary.foreign(last)?.meaning)
  }

  /// As transformers 5.23 reads them: `rope_scaling`, unless it is empty, takes the place of
  /// `rope_parameters`, and what either says of theta that of `rope_theta`.
  private mutating func addContradictions(in object: JSONObject) {
    func section(_ name: String) -> JSONObject? {
      if case .object(let fields)? = object[name], !fields.keys.isEmpty { fields } else { nil }
    }
    func type(_ rope: JSONObject) -> JSONValue { rope["rope_type"] ?? rope["type"] ?? "default" }
    let (old, new) = (section("rope_scaling"), section("rope_parameters"))
    if let old, let new {
      let keys = Set(old.keys + new.keys).subtracting(["type", "rope_type", "rope_theta"]).sorted()
      func settings(_ rope: JSONObject) -> [String] {
        ["type \(type(rope).text(indent: nil))"]
          + keys.map { "\($0) \((rope[$0] ?? .null).text(indent: nil))" }
      }
      let differing = zip(settings(old), settings(new)).filter { $0 != $1 }
      if !differing.isEmpty {
        contradictions.append(
          Contradiction(
            counts: "rope_scaling with \(differing.map(\.0).joined(separator: ", ")), which "
              + "transformers takes",
            other: "rope_parameters with \(differing.map(\.1).joined(separator: ", "))"))
      }
      // Theta is looked for outside where it does not stand there.
      if let theta = new["rope_theta"], old["rope_theta"] == nil, object["rope_theta"] == nil {
        contradictions.append(
          Contradiction(
            counts: "no rope_theta in or beside rope_scaling, for which transformers takes 10000",
            other: "rope_parameters.rope_theta \(theta.text(indent: nil))"))
      }
    }
    if let theta = (old ?? new)?["rope_theta"], let outer = object["rope_theta"],
      theta.number != outer.number
    {
      contradictions.append(
        Contradiction(
          counts: "\(old == nil ? "rope_parameters" : "rope_scaling").rope_theta "
            + "\(theta.text(indent: nil)), which transformers takes",
          other: "rope_theta \(outer.text(indent: nil))"))
    }
    if case .string(let new)? = object["dtype"], case .string(let old)? = object["torch_dtype"],
      new != old
    {
      contradictions.append(Contradiction(counts: "dtype \(new)", other: "torch_dtype \(old)"))
    }
  }

  private mutating func add(_ name: String, _ value: JSONValue, _ meaning: String) {
    let text = value.text(indent: nil)
    keys.append(
      Key(
        name: name, value: text.utf8.count > 60 ? String(text.prefix(60)) + "…" : text,
        meaning: meaning))
  }
}

extension Unknowns {
  /// A line for each kind of tensor and each key that may matter.
  package var lines: [String] { tensors.map(\.line) + keys.map(\.line) }

  /// A line for each kind of harmless tensor, and one for keys of which nothing is known.
  ///
  /// - Parameter isKept: whether a tensor is in what is made of the model.
  package func remarks(keeping isKept: (ExactText) -> Bool = { _ in false }) -> [String] {
    var lines = harmless.filter { $0.names.contains(where: isKept) }
      .map { "carried along: \($0.only(isKept).line)" }
    lines += harmless.filter { !$0.names.allSatisfy(isKept) }
      .map { group in "left out: \(group.only { !isKept($0) }.line)" }
    lines += contradictions.map { "config.json says \($0.counts), and \($0.other)" }
    lines += ambiguous.map { "config.json has no \($0)" }
    if !unfamiliar.isEmpty {
      lines.append(
        "config keys of which nothing is known, taken for harmless: "
          + unfamiliar.joined(separator: ", "))
    }
    return lines
  }

  /// Throws where something may matter.
  ///
  /// - Parameters:
  ///   - use: what would be without it, as "the pass".
  ///   - file: the model, for the message.
  package func requireNone(for use: String, file: String) throws(Fault) {
    guard !isEmpty else { return }
    throw Fault(
      .malformed, "holds what may belong to the network and is not known", file: file,
      tensor: tensors.first?.names.first,
      expected: "tensors and keys of the network alone",
      found: lines.joined(separator: "; ")
        + "; --ignore-unknown leaves it out of \(use) at your risk")
  }
}

extension Unknowns.Tensors {
  fileprivate func only(_ isWanted: (ExactText) -> Bool) -> Unknowns.Tensors {
    var result = self
    result.names = names.filter(isWanted)
    return result
  }

  /// The names, cut, and what they are.
  package var line: String {
    let shown = names.prefix(2).map(\.text).joined(separator: ", ")
    let more = names.count > 2 ? " and \(names.count - 2) more" : ""
    return shown + more + (kind.map { " (\($0))" } ?? " (not implied by the config)")
  }
}

extension UnknownKey {
  /// The key with what it says and is about.
  package var line: String {
    "key \(name) \(value)" + (meaning.map { " (\($0))" } ?? " (not known)")
  }
}

extension ModelConfig {
  /// Whether a key about positions is one that this network has, or says what follows from others.
  fileprivate func isReadOfPositions(_ name: String, _ value: JSONValue) -> Bool {
    switch name {
    case ModelConfig.QueryTemperature.betaKey:
      return architecture.hasQueryTemperature && !architecture.hasTemperatureSection
    // Sections for layers of two kinds.
    case "main", "compress": return v4 != nil
    case "partial_rotary_factor":
      guard architecture.hasRotaryShare || v4 != nil, let share = value.number else { return false }
      return Int((share * Double(queryHeadSize)).rounded(.towardZero)) == ropeHeadSize
    default: return false
    }
  }

  /// Whether what a key says changes nothing of this network, and would of another.
  fileprivate func isUnused(_ name: String, _ value: JSONValue) -> Bool {
    if name == ModelConfig.QueryTemperature.sectionKey { return architecture.hasTemperatureSection }
    guard indexer != nil else { return false }
    switch name {
    // What transformers calls layers with an indexer, as it saves them.
    case "layer_types":
      if case .array(let kinds) = value { return kinds.allSatisfy { $0 == "indexed_attention" } }
      return false
    // Whether a predictor that runs again keeps the keys of its first time: here each runs once.
    case "index_share_for_mtp_iteration": return mtpLayers <= 1
    case "index_topk_freq": return value == 1
    case "indexer_types":
      if case .array(let kinds) = value { return kinds.allSatisfy { $0 == "full" } }
      return false
    default: return false
    }
  }
}
