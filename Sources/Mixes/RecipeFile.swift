package import Models
package import Platform
package import Tensors

/// What a format's recipes give tensors: the types of one of those that recipes are for.
package protocol RecipeType: Sendable, Hashable {
  /// The format, by its name on the command line; a recipe that names none is for `gguf`.
  static var recipeTarget: String { get }
  /// The type with a name as it stands in a recipe.
  ///
  /// - Throws: `.usage` for a name that is none, or a type that is not written.
  static func inRecipe(named name: String) throws(Fault) -> Self
  /// Its name there.
  var recipeName: String { get }
}

extension ElementType: RecipeType {
  /// See `RecipeType`.
  package static var recipeTarget: String { "gguf" }
  /// See `RecipeType`.
  package static func inRecipe(named name: String) throws(Fault) -> ElementType {
    try TensorTypeRule.type(named: name)
  }
  /// See `RecipeType`.
  package var recipeName: String { rawValue }
}

/// How large recipes are.
package enum RecipeSize {
  /// Bytes of a file at most: a thousand groups measured in forty types take some 6 MB.
  package static let most = 1 << 24
}

/// Kinds of layers that a rule of a recipe may be about.
package enum RecipeLayers: String, Sendable, CaseIterable {
  /// The decoder layers, without those of multi-token prediction.
  case main
  /// The multi-token-prediction layers.
  case mtp
  /// Layers with one feed-forward network.
  case dense
  /// Layers with experts.
  case moe

  /// Their numbers.
  package func numbers(_ config: ModelConfig) -> Set<Int> {
    let all = 0..<config.storedLayers
    return switch self {
    case .main: Set(0..<config.layers)
    case .mtp: Set(config.layers..<config.storedLayers)
    case .dense: Set(all.filter { !config.hasExperts(layer: $0) })
    case .moe: Set(all.filter { config.hasExperts(layer: $0) })
    }
  }
}

/// Types of a format's tensors, rule by rule, as `Schemas/recipe.schema.json` describes it: the
/// first rule that matches counts.
package struct RecipeFile<Type: RecipeType>: Sendable {
  /// A type for some tensors.
  package struct Rule: Sendable, Hashable {
    /// The names that it is about: a glob over the names of a GGUF file's tensors, over the paths of
    /// the modules elsewhere.
    package let match: String
    /// The layers that it is about; nil for tensors anywhere.
    package let layers: RecipeLayers?
    /// The type.
    package let type: Type

    /// Makes a rule.
    package init(match: String, layers: RecipeLayers? = nil, type: Type) {
      (self.match, self.layers, self.type) = (match, layers, type)
    }

    /// As it stands in a recipe.
    package var json: JSONObject {
      var json: JSONObject = ["match": .string(match)]
      if let layers { json["layers"] = .string(layers.rawValue) }
      json["type"] = .string(type.recipeName)
      return json
    }
  }

  /// Where it was read from.
  package let path: String
  /// The type of what no rule is about; nil where `--quant` says it.
  package let base: Type?
  /// The rules in order.
  package let rules: [Rule]

  /// Reads a file.
  ///
  /// - Throws: `.malformed` with what is wrong, unknown keys among it: a rule with a slip must not
  ///   pass for one that is absent; `.usage` for a recipe for another format.
  package init(path: String) throws(Fault) {
    self.path = path
    let file = try InputFile(path: path)
    guard file.size <= RecipeSize.most else {
      throw Fault(
        .malformed, "is no recipe", file: path, expected: "at most \(RecipeSize.most) bytes",
        found: "\(file.size)")
    }
    let reader = RecipeReader(path: path)
    let json = try JSONValue(parsing: file.read(at: 0, count: file.size), file: path)
    let members = try reader.members(
      json, "the recipe", ["schema", "description", "target", "default", "rules", "evidence"])
    guard members["schema"] == .string("fathom.recipe/1") else {
      throw reader.fault("schema", expected: "\"fathom.recipe/1\"", found: members["schema"])
    }
    let target = try reader.string(members, "target", of: "the recipe")
    guard target ?? ElementType.recipeTarget == Type.recipeTarget else {
      throw Fault(
        .usage, "is a recipe for another format", file: path, expected: Type.recipeTarget,
        found: target ?? ElementType.recipeTarget)
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

  func type<Type: RecipeType>(
    _ members: JSONObject, _ key: String, of place: String
  ) throws(Fault) -> Type? {
    guard let name = try string(members, key, of: place) else { return nil }
    do throws(Fault) {
      return try Type.inRecipe(named: name)
    } catch {
      throw Fault(
        .malformed, "\(key) of \(place): \(error.message)", file: path, expected: error.expected,
        found: error.found)
    }
  }

  func rule<Type: RecipeType>(
    _ value: JSONValue, _ place: String
  ) throws(Fault) -> RecipeFile<Type>.Rule {
    let members = try members(value, place, ["match", "layers", "type"])
    let match = try string(members, "match", of: place)
    var layers: RecipeLayers?
    if let name = try string(members, "layers", of: place) {
      layers = RecipeLayers(rawValue: name)
      if layers == nil {
        throw fault(
          "layers of \(place)",
          expected: RecipeLayers.allCases.map(\.rawValue).joined(separator: ", "),
          found: .string(name))
      }
    }
    guard match != nil || layers != nil else {
      throw fault(place, expected: "match, layers or both", found: value)
    }
    guard let type: Type = try type(members, "type", of: place) else {
      throw fault(place, expected: "a type", found: value)
    }
    return RecipeFile<Type>.Rule(match: match ?? "*", layers: layers, type: type)
  }
}
