public import Platform
internal import Reports
public import Tensors

/// A recipe for a GGUF file with what was measured for it.
public struct MeasuredRecipe: Sendable {
  /// A group in one type.
  public struct Option: Sendable, Hashable {
    /// The type.
    public let type: ElementType
    /// Bytes of the group's tensors; some may have another type where their rows fill no blocks.
    public let bytes: Int
    /// Mean KL divergence where this group alone has the type, in nats.
    public let divergence: Double
  }

  /// Tensors that get one type.
  public struct Group: Sendable, Hashable {
    /// What they are.
    public let name: String
    /// Their names in the file.
    public let tensors: [ExactText]
    /// Their weights.
    public let parameters: Int
    /// The type that was chosen.
    public let chosen: ElementType
    /// All that were tried.
    public let options: [Option]
  }

  /// The text that was measured on.
  public let text: String
  /// Its tokens.
  public let tokens: Int
  /// Bytes of all tensors of the file.
  public let bytes: Int
  /// Weights of the model.
  public let parameters: Int
  /// Sum of what the groups lose, in nats.
  public let predicted: Double
  /// Mean KL divergence of all groups in their types together.
  public let measured: Double
  /// What no choice of these options within the same size can lose less than, by their sum.
  public let bound: Double
  /// The groups.
  public let groups: [Group]

  /// Bits of the file for each weight.
  public var bitsPerWeight: Double { 8 * Double(bytes) / Double(max(1, parameters)) }

  /// The document of `Schemas/recipe.schema.json`: a rule for each tensor, and the evidence.
  public var json: JSONValue {
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
  public var report: OutputText {
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
