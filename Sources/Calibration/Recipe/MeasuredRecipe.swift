package import Platform
internal import Reports
package import Tensors

/// A recipe for a GGUF file with what was measured for it.
package struct MeasuredRecipe: Sendable {
  /// A group in one type.
  package struct Option: Sendable, Hashable {
    /// The type.
    package let type: ElementType
    /// Bytes of the group's tensors; some may have another type where their rows fill no blocks.
    package let bytes: Int
    /// Mean KL divergence where this group alone has the type, in nats.
    package let divergence: Double
  }

  /// Tensors that get one type.
  package struct Group: Sendable, Hashable {
    /// What they are.
    package let name: String
    /// Their names in the file.
    package let tensors: [ExactText]
    /// Their weights.
    package let parameters: Int
    /// The type that was chosen.
    package let chosen: ElementType
    /// All that were tried.
    package let options: [Option]
  }

  /// The text that was measured on.
  package let text: String
  /// Its tokens.
  package let tokens: Int
  /// Bytes of all tensors of the file.
  package let bytes: Int
  /// Weights of the model.
  package let parameters: Int
  /// Sum of what the groups lose, in nats.
  package let predicted: Double
  /// Mean KL divergence of all groups in their types together.
  package let measured: Double
  /// What no choice of these options within the same size can lose less than, by their sum.
  package let bound: Double
  /// The groups.
  package let groups: [Group]

  /// Bits of the file for each weight.
  package var bitsPerWeight: Double { 8 * Double(bytes) / Double(max(1, parameters)) }

  /// The document of `Schemas/recipe.schema.json`: a rule for each tensor, and the evidence.
  package var json: JSONValue {
    let rules = groups.flatMap { group in
      group.tensors.map { name -> JSONValue in
        .object([
          "match": .string(name.text), "type": .string(group.chosen.rawValue.lowercased()),
        ])
      }
    }
    return .object([
      "schema": .string("fathom.recipe/1"),
      "description": .string(
        "\(Quantity.fixed(bitsPerWeight, digits: 3)) bits per weight, chosen on \(tokens) tokens"),
      "default": .string("q8_0"), "rules": .array(rules),
      "evidence": .object([
        "text": .string(text), "tokens": .integer(tokens), "bytes": .integer(bytes),
        "bitsPerWeight": .number(bitsPerWeight), "klPredicted": .number(predicted),
        "klMeasured": .number(measured), "klBound": .number(bound),
        "groups": .array(
          groups.map { group in
            .object([
              "name": .string(group.name), "tensors": .integer(group.tensors.count),
              "parameters": .integer(group.parameters),
              "type": .string(group.chosen.rawValue.lowercased()),
              "options": .array(
                group.options.map {
                  .object([
                    "type": .string($0.type.rawValue.lowercased()), "bytes": .integer($0.bytes),
                    "kl": .number($0.divergence),
                  ])
                }),
            ])
          }),
      ]),
    ])
  }

  /// The report for people.
  package var report: OutputText {
    var table = TextTable(
      [("group", .left), ("weights", .right), ("type", .left), ("bits", .right), ("KL", .right)],
      namesFirst: true)
    for group in groups {
      guard let option = group.options.first(where: { $0.type == group.chosen }) else { continue }
      let bits = 8 * Double(option.bytes) / Double(max(1, group.parameters))
      table.add([
        group.name, Quantity.count(group.parameters), group.chosen.rawValue,
        Quantity.fixed(bits, digits: 2), Quantity.significant(option.divergence),
      ])
    }
    let lines =
      table.lines + [
        "",
        "KL divergence predicted \(Quantity.significant(predicted)) (no choice of this size below "
          + "\(Quantity.significant(bound))), measured together \(Quantity.significant(measured))",
        "\(Quantity.bytes(bytes)), \(Quantity.fixed(bitsPerWeight, digits: 3)) bits per weight",
      ]
    return lines.joined(separator: "\n") + "\n"
  }
}
