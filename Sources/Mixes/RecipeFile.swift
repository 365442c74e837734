package import Models
package import Platform
package import Tensors

/// Types of a GGUF file's tensors, rule by rule, as `Schemas/recipe.schema.json` describes it: the
/// first rule that matches counts.
package struct RecipeFile: Sendable {
  /// Kinds of layers that a rule may be about.
  package enum Layers: String, Sendable, CaseIterable {
    /// The decoder layers, without those of multi-token prediction.
    case main
    /// The multi-token-prediction layers.
    case mtp
    /// Layers with one feed-forward network.
    case dense
    /// Layers with experts.
    case moe
  }

  /// A type for some tensors.
  package struct Rule: Sendable, Hashable {
    /// The names that it is about: a glob over the names of the output.
    package let match: String
    /// The layers that it is about; nil for tensors anywhere.
    package let layers: Layers?
    /// The type.
    package let type: ElementType

    /// The rule with the numbers of the layers.
    package func resolved(for config: ModelConfig) throws(Fault) -> TensorTypeRule {
      try TensorTypeRule(.glob(match), type, layers: layers.map { Rule.numbers($0, config) })
    }

    private static func numbers(_ layers: Layers, _ config: ModelConfig) -> Set<Int> {
      let all = 0..<config.storedLayers
      return switch layers {
      case .main: Set(0..<config.layers)
      case .mtp: Set(config.layers..<config.storedLayers)
      case .dense: Set(all.filter { !config.hasExperts(layer: $0) })
      case .moe: Set(all.filter { config.hasExperts(layer: $0) })
      }
    }
  }

  /// Where it was read from.
  package let path: String
  /// The type of what no rule is about; nil where `--quant` says it.
  package let base: ElementType?
  /// The rules in order.
  package let rules: [Rule]

  /// Larger files are no recipes.
  private static let limit = 1 << 20

  /// Reads a file.
  ///
  /// - Throws: `.malformed` with what is wrong, unknown keys among it: a rule with a slip must not
  ///   pass for one that is absent.
  package init(path: String) throws(Fault) {
    self.path = path
    let file = try InputFile(path: path)
    guard file.size <= RecipeFile.limit else {
      throw Fault(
        .malformed, "is no recipe", file: path, expected: "at most \(RecipeFile.limit) bytes",
        found: "\(file.size)")
    }
    let reader = RecipeReader(path: path)
    let json = try JSONValue(parsing: file.read(at: 0, count: file.size), file: path)
    let members = try reader.members(
      json, "the recipe", ["schema", "description", "default", "rules", "evidence"])
    guard members["schema"] == .string("fathom.recipe/1") else {
      throw reader.fault("schema", expected: "\"fathom.recipe/1\"", found: members["schema"])
    }
    _ = try reader.string(members, "description", of: "the recipe")
    base = try reader.type(members, "default", of: "the recipe")
    switch members["rules"] ?? .array([]) {
    case .array(let list):
      var rules: [Rule] = []
      for (index, value) in list.enumerated() {
        rules.append(try reader.rule(value, "rules[\(index)]"))
      }
      self.rules = rules
    case let other: throw reader.fault("rules", expected: "an array", found: other)
    }
  }
}

/// Reads the parts of a recipe; faults say which part.
private struct RecipeReader {
  let path: String

  func fault(_ place: String, expected: String, found: JSONValue?) -> Fault {
    Fault(
      .malformed, "\(place) is not what a recipe has", file: path, expected: expected,
      found: found?.text(indent: nil) ?? "nothing")
  }

  func members(
    _ value: JSONValue, _ place: String, _ known: Set<String>
  ) throws(Fault) -> JSONObject {
    guard case .object(let object) = value else {
      throw fault(place, expected: "an object", found: value)
    }
    if let other = object.keys.first(where: { !known.contains($0) }) {
      throw Fault(
        .malformed, "\(place) has an unknown key", file: path,
        expected: known.sorted().joined(separator: ", "), found: other)
    }
    return object
  }

  func string(
    _ members: JSONObject, _ key: String, of place: String
  ) throws(Fault) -> String? {
    switch members[key] {
    case .string(let text)?: return text
    case nil: return nil
    case let other?: throw fault("\(key) of \(place)", expected: "a string", found: other)
    }
  }

  func type(
    _ members: JSONObject, _ key: String, of place: String
  ) throws(Fault) -> ElementType? {
    guard let name = try string(members, key, of: place) else { return nil }
    do throws(Fault) {
      return try TensorTypeRule.type(named: name)
    } catch {
      throw Fault(
        .malformed, "\(key) of \(place): \(error.message)", file: path, expected: error.expected,
        found: error.found)
    }
  }

  func rule(_ value: JSONValue, _ place: String) throws(Fault) -> RecipeFile.Rule {
    let members = try members(value, place, ["match", "layers", "type"])
    let match = try string(members, "match", of: place)
    var layers: RecipeFile.Layers?
    if let name = try string(members, "layers", of: place) {
      layers = RecipeFile.Layers(rawValue: name)
      if layers == nil {
        throw fault(
          "layers of \(place)",
          expected: RecipeFile.Layers.allCases.map(\.rawValue).joined(separator: ", "),
          found: .string(name))
      }
    }
    guard match != nil || layers != nil else {
      throw fault(place, expected: "match, layers or both", found: value)
    }
    guard let type = try type(members, "type", of: place) else {
      throw fault(place, expected: "a type", found: value)
    }
    return RecipeFile.Rule(match: match ?? "*", layers: layers, type: type)
  }
}
