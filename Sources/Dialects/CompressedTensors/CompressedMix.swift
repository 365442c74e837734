internal import Formats
package import Mixes
package import Models
package import Platform
internal import Tensors
internal import Weights

/// Which modules are stored how in compressed-tensors' formats: what a recipe file says.
package struct CompressedMix: Sendable, Hashable {
  /// How a module is stored, by a scheme's name or `plain`.
  package struct Storage: RecipeType {
    /// The name.
    let name: String
    /// The scheme; nil for plain numbers in the type that they have.
    package let scheme: CompressedScheme?

    private static let plain = "plain"

    /// See `RecipeType`.
    package static var recipeTarget: String { "compressed-tensors" }

    /// See `RecipeType`.
    package static func inRecipe(named text: String) throws(Fault) -> Storage {
      let name = text.lowercased()
      if name == plain { return Storage(name: name, scheme: nil) }
      guard let row = CompressedScheme.named.first(where: { $0.name == name }) else {
        throw Fault(
          .usage, "'\(text)' is no type for --to compressed-tensors",
          expected: (CompressedRecipe.names(of: .compressedTensors) + [plain]).joined(
            separator: ", "))
      }
      return Storage(name: name, scheme: row.scheme)
    }

    /// See `RecipeType`.
    package var recipeName: String { name }

    /// The same with blocks of another size where it has blocks.
    fileprivate func with(_ block: BlockSize?) -> CompressedScheme? {
      guard var scheme, case .block = scheme.geometry, let block else { return scheme }
      scheme.geometry = .block(rows: block.rows, columns: block.columns)
      return scheme
    }
  }

  /// How modules are stored that no rule is about.
  package let base: Storage
  /// Rules over the paths of modules.
  package let rules: [RecipeFile<Storage>.Rule]

  /// Makes a mix.
  package init(base: Storage, rules: [RecipeFile<Storage>.Rule] = []) {
    (self.base, self.rules) = (base, rules)
  }

  /// What a recipe file says, and the command for the rest.
  ///
  /// - Throws: `.usage` where both name a type for the rest, or neither does, or the command names
  ///   one that leaves modules out by itself.
  package init(_ file: RecipeFile<Storage>, rest: CompressedRecipe?) throws(Fault) {
    switch (file.base, rest) {
    case (let base?, nil): self.init(base: base, rules: file.rules)
    case (nil, let rest?):
      self.init(base: try Storage.inRecipe(named: rest.name), rules: file.rules)
    case (nil, nil):
      throw Fault(.usage, "names no default, and neither does --quant", file: file.path)
    case (_?, _?):
      throw Fault(
        .usage, "names a default, and so does --quant", file: file.path, expected: "one of them")
    }
  }

  /// The section of `config.json` for an output of a source, and rules that no module is about.
  ///
  /// - Parameter mtpLayers: MTP layers that the output has.
  /// - Throws: `.usage` where experts of one layer would be stored in several ways.
  package func section(
    of source: SourceModel, mtpLayers: Int
  ) throws(Fault) -> (section: JSONValue, unheeded: [String]) {
    var config = source.config
    config.mtpLayers = mtpLayers
    let block = config.fp8?.blocks.map { BlockSize($0) } ?? config.compressed?.fp8Block
    var rules = RecipeRules(rules, for: config)
    var targets = ModuleGroups()
    for tensor in config.expectedTensors() {
      guard let module = CompressedMix.module(of: tensor) else { continue }
      let chosen =
        rules.first(for: config.storedName(of: module), layer: tensor.layer)?.type ?? base
      let scheme = chosen.with(block).flatMap {
        $0.fillsWords(columns: tensor.shape.dimensions[1]) ? $0 : nil
      }
      try targets.add(module, of: tensor, scheme)
    }
    let groups = targets.schemes.map { (scheme: $0, targets: targets.patterns(of: $0)) }
    let ignored =
      CompressedRecipe.always(in: config, for: .compressedTensors) + targets.patterns(of: nil)
      + CompressedRecipe.others(in: source, for: .compressedTensors)
    return (CompressedScheme.section(groups, ignored: ignored), rules.unheeded)
  }

  /// The path of the module whose weight a tensor is, where that can be stored as codes.
  package static func module(of tensor: ExpectedTensor) -> ExactText? {
    guard tensor.storage != .scale, tensor.moduleClass == .linear, let module = tensor.module,
      ![.head, .headCopy, .mtpInput].contains(tensor.part)
    else { return nil }
    return module
  }
}

/// Modules by how they are stored, and patterns that name them: no module falls under two.
private struct ModuleGroups {
  /// `mlp.experts.\d+` of a layer, and `up_proj`.
  private struct Place: Hashable {
    let layer: Int
    let parent: String
    let name: String
  }

  private var found: [(place: Place, scheme: CompressedScheme?)] = []
  private var known: [Place: CompressedScheme?] = [:]

  /// The schemes, in the order of the modules.
  var schemes: [CompressedScheme] {
    var seen: Set<CompressedScheme> = []
    return found.compactMap(\.scheme).filter { seen.insert($0).inserted }
  }

  mutating func add(
    _ module: ExactText, of tensor: ExpectedTensor, _ scheme: CompressedScheme?
  ) throws(Fault) {
    let parts = module.text.split(separator: ".").map(String.init)
    guard let layer = tensor.layer, let first = parts.firstIndex(of: "layers"),
      parts.count > first + 3, let name = parts.last
    else { return }
    let inside = parts[(first + 2)...].dropLast().map { part in
      tensor.expert.map { part == "\($0)" } == true ? #"\d+"# : part
    }
    let place = Place(layer: layer, parent: inside.joined(separator: #"\."#), name: name)
    guard let earlier = known[place] else {
      known[place] = scheme
      found.append((place, scheme))
      return
    }
    guard earlier == scheme else {
      throw Fault(
        .usage, "gives experts of one layer several types, and loaders take one", tensor: module,
        expected: earlier.map { "\($0)" } ?? "plain numbers",
        found: scheme.map { "\($0)" } ?? "plain numbers")
    }
  }

  /// Patterns for the modules of a scheme, or for those that stay plain.
  func patterns(of scheme: CompressedScheme?) -> [String] {
    var layers: [[String]: [Int]] = [:]
    var order: [[String]] = []
    for (place, own) in found where own == scheme {
      let key = [place.parent, place.name]
      if layers[key] == nil { order.append(key) }
      layers[key, default: []].append(place.layer)
    }
    // Names of one parent in the same layers share a pattern.
    var names: [[String]: [String]] = [:]
    var parents: [[String]] = []
    for key in order {
      let numbers = layers[key, default: []].map(String.init).joined(separator: "|")
      let parent = [numbers, key[0]]
      if names[parent] == nil { parents.append(parent) }
      names[parent, default: []].append(key[1])
    }
    return parents.map { parent in
      let all = names[parent, default: []]
      let last = all.count == 1 ? all[0] : "(\(all.joined(separator: "|")))"
      let layers = parent[0].contains("|") ? "(\(parent[0]))" : parent[0]
      return #"re:.*layers\.\#(layers)\.\#(parent[1])\.\#(last)$"#
    }
  }
}

extension CompressedMix: DialectRecipe {
  /// See `DialectRecipe`.
  package func output(of source: SourceModel, _ recipe: Recipe) throws(Fault) -> PlannedOutput {
    let planner = try Planner(source, recipe: recipe)
    var output = try planner.output()
    output.unheeded = try section(of: source, mtpLayers: planner.writtenMTPLayers).unheeded
    return output
  }

  /// See `DialectRecipe`.
  package func json(_ recipe: Recipe) -> JSONObject {
    json(
      to: .compressedTensors, quant: nil,
      more: [
        "default": .string(base.recipeName), "rules": .array(rules.map { .object($0.json) }),
      ],
      shardLimit: recipe.shardLimit ?? Recipe.usualShardLimit, recipe)
  }

  /// See `DialectRecipe`.
  package func missingType(in tensors: [PlannedTensor], _ recipe: Recipe) -> String? {
    base.scheme == nil || hasCodes(tensors) ? nil : base.recipeName
  }
}
