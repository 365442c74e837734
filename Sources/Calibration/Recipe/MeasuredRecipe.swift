package import Platform
internal import Reports

/// A recipe with what was measured for it.
package struct MeasuredRecipe: Sendable {
  /// A group in one type.
  package struct Option: Sendable, Hashable {
    /// The type, by its name in recipes.
    package let type: String
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
    package let chosen: String
    /// All that were tried.
    package let options: [Option]
  }

  /// What other sizes would lose, and what the format's own tools make.
  package struct Curve: Sendable {
    /// The best choices from the smallest to the largest: bytes of all tensors, and what is expected of
    /// the sum of what the groups lose alone, in nats.
    package let frontier: [(bytes: Int, divergence: Double)]
    /// Standard mixes: bytes of all tensors, and mean KL divergence as measured, in nats.
    package let standards: [Standard]
  }

  /// A standard mix.
  package struct Standard: Sendable, Hashable {
    /// The name that its makers have for it.
    package let name: String
    /// Bytes of all tensors.
    package let bytes: Int
    /// Mean KL divergence as measured, in nats.
    package let divergence: Double
    /// What is expected of the best choice of at most its size; nil where none is so small.
    package let predictedOfBest: Double?
  }

  /// The format that it is for.
  package let target: RecipeTarget

  /// The type of what no rule is about; nil where that is left as it is.
  package let usual: String?
  /// The text that was measured on.
  package let text: String
  /// Its tokens.
  package let tokens: Int
  /// Hashes of what was measured: model, tokens, importance matrix.
  package let hashes: JSONValue
  /// Bytes of all tensors of the file.
  package let bytes: Int
  /// Weights of the model.
  package let parameters: Int
  /// What is expected of the sum of what the groups lose, in nats.
  package let predicted: Double
  /// Mean KL divergence of all groups in their types together.
  package let measured: Double
  /// What no choice of these options within the same size can lose less than, by the same reckoning.
  package let bound: Double
  /// What best choices lose as a whole, beside the sums of what their groups lose alone.
  package let together: [JointLoss.Point]
  /// What was measured beside it; nil where nothing was.
  package let curve: Curve?
  /// The groups.
  package let groups: [Group]

  /// Bits of the file for each weight.
  package var bitsPerWeight: Double { bitsPerWeight(of: bytes) }

  /// Bits for each weight of a file of so many bytes.
  package func bitsPerWeight(of bytes: Int) -> Double {
    8 * Double(bytes) / Double(max(1, parameters))
  }

  /// What rules call tensors, each once: a GGUF file's by their names, modules elsewhere by their
  /// paths, those of all experts of a layer by one.
  private func matches(_ tensors: [ExactText]) -> [String] {
    var seen: Set<String> = []
    return tensors.map { tensor in
      guard target != .gguf else { return tensor.text }
      var parts = (tensor.without(suffix: ".weight") ?? tensor).text.split(separator: ".")
      for place in parts.indices.dropFirst() where parts[place - 1] == "experts" {
        parts[place] = "*"
      }
      return parts.joined(separator: ".")
    }.filter { seen.insert($0).inserted }
  }

  /// Bytes that the document has at most, whatever is measured: numbers take 24, and every line its
  /// indentation.
  static func mostBytes(_ groups: [(group: RecipeGroup, options: Int)]) -> Int {
    func bytes(_ text: String) -> Int { JSONValue.string(text).printed().text.utf8.count }
    // What stands once, the curve included.
    let frame = 1 << 16
    return groups.reduce(frame) { sum, item in
      let rules = item.group.tensors.reduce(0) { $0 + 100 + bytes($1.text) }
      return sum + rules + 300 + bytes(item.group.name) + 200 * item.options
    }
  }

  /// The document of `Schemas/recipe.schema.json`: a rule for each tensor, and the evidence.
  package var json: JSONValue {
    let rules = groups.flatMap { group in
      matches(group.tensors).map { match -> JSONValue in
        .object(["match": .string(match), "type": .string(group.chosen)])
      }
    }
    var json: JSONObject = [
      "schema": .string("fathom.recipe/1"),
      "description": .string(
        "\(Quantity.fixed(bitsPerWeight, digits: 3)) bits per weight, chosen on \(tokens) tokens"),
    ]
    if target != .gguf { json["target"] = .string(target.rawValue) }
    if let usual { json["default"] = .string(usual) }
    json["rules"] = .array(rules)
    json["evidence"] = .object(evidence)
    return .object(json)
  }

  private var evidence: JSONObject {
    var json: JSONObject = [
      "text": .string(text), "tokens": .integer(tokens), "hashes": hashes, "bytes": .integer(bytes),
      "bitsPerWeight": .number(bitsPerWeight), "klPredicted": .number(predicted),
      "klMeasured": .number(measured), "klBound": .number(bound),
      "together": .array(
        together.map {
          .object(["klSum": .number($0.sum), "klMeasured": .number($0.measured)])
        }),
      "groups": .array(
        groups.map { group in
          .object([
            "name": .string(group.name), "tensors": .integer(group.tensors.count),
            "parameters": .integer(group.parameters), "type": .string(group.chosen),
            "options": .array(
              group.options.map {
                .object([
                  "type": .string($0.type), "bytes": .integer($0.bytes),
                  "kl": .number($0.divergence),
                ])
              }),
          ])
        }),
    ]
    guard let curve else { return json }
    json["frontier"] = .array(
      curve.frontier.map { point in
        .object([
          "bytes": .integer(point.bytes),
          "bitsPerWeight": .number(bitsPerWeight(of: point.bytes)),
          "klPredicted": .number(point.divergence),
        ])
      })
    json["standards"] = .array(
      curve.standards.map { mix in
        .object([
          "name": .string(mix.name), "bytes": .integer(mix.bytes),
          "bitsPerWeight": .number(bitsPerWeight(of: mix.bytes)),
          "klMeasured": .number(mix.divergence),
          "klPredictedOfBest": mix.predictedOfBest.map { .number($0) } ?? .null,
        ])
      })
    return json
  }

  /// A type as people of the format write it.
  package func title(_ type: String) -> String { target == .gguf ? type.uppercased() : type }

  /// The report for people.
  package var report: OutputText {
    var table = TextTable(
      [("group", .left), ("weights", .right), ("type", .left), ("bits", .right), ("KL", .right)],
      namesFirst: true)
    for group in groups {
      guard let option = group.options.first(where: { $0.type == group.chosen }) else { continue }
      let bits = 8 * Double(option.bytes) / Double(max(1, group.parameters))
      table.add([
        group.name, Quantity.count(group.parameters), title(group.chosen),
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
