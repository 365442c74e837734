package import Platform

extension ModelConfig {
  /// The name in the network itself of a tensor that a checkpoint calls `stored`: the same but for a
  /// network in an envelope.
  package func ownName(of stored: ExactText) -> ExactText {
    guard let envelope else { return stored }
    if hasMistralNames { return MistralNames.own(of: stored) }
    for prefix in envelope.otherPrefixes {
      if let rest = stored.without(prefix: prefix.stored) { return prefix.own + rest }
    }
    return stored.without(prefix: envelope.prefix) ?? stored
  }

  /// Whether the files are Mistral's own, with names of theirs; what is written has Hugging Face's.
  package var hasMistralNames: Bool { envelope == .mistral }

  /// The name that published checkpoints have for a tensor of the network.
  package func storedName(of own: ExactText) -> ExactText {
    guard let envelope, !isOther(own) else { return own }
    return envelope.prefix + own
  }

  /// Whether a tensor belongs to another part of the model that the network is a part of.
  package func isOther(_ name: ExactText) -> Bool {
    envelope?.others.contains { name.hasPrefix($0) } ?? false
  }

  /// What `config.json` says about the network: all of it, or the section in an envelope.
  package func section(of document: JSONValue) -> JSONValue {
    envelope.flatMap { document[$0.key] } ?? document
  }

  /// A document with the section about the network changed, and that about all of the model.
  ///
  /// - Parameter change: is called for the network's section, and for the whole document where it
  ///   is another.
  package func changing(
    _ document: JSONObject, _ change: (_ section: inout JSONObject, _ isNetwork: Bool) -> Void
  ) -> JSONObject {
    var document = document
    guard let envelope, case .object(var own)? = document[envelope.key] else {
      change(&document, true)
      return document
    }
    change(&own, true)
    document[envelope.key] = .object(own)
    change(&document, false)
    return document
  }
}
