internal import Formats
internal import Models
internal import Passes
internal import Platform

/// A number or choice beside the weights that changes what the network computes, and that the two
/// models have differently. Sizes that change the shape of a tensor are not among them.
package struct ConfigDifference: Sendable {
  /// The key as the candidate's own file spells it: `rope_scaling.mscale_all_dim` in a
  /// `config.json`, `deepseek2.rope.scaling.yarn_log_multiplier` in a GGUF file.
  package let name: String
  /// The reference's value.
  package let reference: String
  /// The candidate's value.
  package let candidate: String
  /// Puts the candidate's value into a config.
  let apply: @Sendable (inout ModelConfig) -> Void

  /// The differences between two models, in the order of the table of keys.
  static func all(
    reference: ModelConfig, candidate: ModelFiles
  ) -> [ConfigDifference] {
    let isGGUF = candidate.gguf != nil
    let (a, b) = (reference, candidate.config)
    var rows = ConfigKey.effects
    if a.yarn != nil, b.yarn != nil {
      rows += ConfigKey.yarnEffects + (isGGUF ? [.yarnMultiplier] : ConfigKey.yarnScales)
    } else {
      rows.append(.scaling)
    }
    let document = b.section(of: candidate.checkpoint.config)
    let section = document["rope_parameters"] == nil ? nil : "rope_parameters"
    return rows.compactMap { row in
      guard let effect = row.effect, effect.isThere(a), effect.isThere(b) else { return nil }
      let values = (effect.text(a), effect.text(b))
      guard values.0 != values.1 else { return nil }
      var name = row.name
      if isGGUF, let key = row.gguf {
        name = "\(b.architecture.ggufName).\(key)"
      } else if let section, row.name.hasPrefix(ConfigKey.section) {
        name = section + row.name.dropFirst(ConfigKey.section.count)
      }
      return ConfigDifference(
        name: name, reference: values.0, candidate: values.1,
        apply: { config in
          effect.copy(b, &config)
          // One of three numbers that fit together only as a set.
          if !config.canRoute { for row in ConfigKey.routing { row.effect?.copy(b, &config) } }
        })
    }
  }

  var json: JSONValue {
    .object([
      "name": .string(name), "reference": .string(reference), "candidate": .string(candidate),
    ])
  }
}

extension ModelConfig {
  /// Whether the groups that a token chooses hold as many experts as it uses.
  fileprivate var canRoute: Bool {
    routedExperts % expertGroups == 0 && chosenGroups <= expertGroups
      && expertsPerToken <= routedExperts / expertGroups * chosenGroups
  }
}
