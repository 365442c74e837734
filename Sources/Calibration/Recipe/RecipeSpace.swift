internal import Codecs
internal import Conversion
internal import Dialects
internal import Formats
internal import Mixes
internal import Models
internal import Naming
internal import Passes
internal import Platform
internal import Tensors
internal import Weights

/// How a matrix's numbers are stored.
enum StoredEncoding: Sendable {
  /// In blocks of ggml's, or as plain numbers.
  case codec(ElementType)
  /// In groups, of numbers that are rounded to a type before; weights of the network by whose
  /// largest magnitude the global scale goes, where there is one.
  case groups(GroupScheme, of: ElementType, joined: [String])
  /// In FP8 with a scale for each block, of numbers that are rounded to a type before.
  case blocks(BlockSize, BlockQuantizer.ScaleFormat, of: ElementType)
  /// As in the source, whatever is asked for.
  case kept
}

/// What a format lets a recipe choose: tensors that can be stored in several ways, and what each is
/// then.
struct RecipeSpace: Sendable {
  /// A tensor in one type.
  struct Storing: Sendable {
    let encoding: StoredEncoding
    /// Bytes of it and of what belongs to it.
    let bytes: Int
  }

  /// A model in which types stand mixed as the format's own tools mix them.
  struct Standard: Sendable {
    /// The tool's name for it.
    let name: String
    let storing: [ExactText: Storing]
    /// Bytes of all its tensors.
    let bytes: Int
  }

  /// The tensors, in the order of the file.
  let tensors: [DialectTensor]
  /// Names of the types to choose from.
  let types: [String]
  /// The types of which one may be what no rule is about; none where that is always `fallback`.
  var defaults: [String] = []
  /// What is chosen where no type can be.
  let fallback: String
  /// By type, every tensor in it where it can be.
  let storing: [String: [ExactText: Storing]]
  /// By type, tensors that it cannot be asked for.
  var barred: [String: Set<ExactText>] = [:]
  /// Bytes of all other tensors.
  let rest: Int
  /// Mixes to compare with; none where none were asked for.
  var standards: [Standard] = []

  /// Plans what is asked for; no weight is read.
  ///
  /// - Throws: what planning a conversion throws; `.usage` for types that cannot be written.
  init(_ files: ModelFiles, _ request: RecipeRequest) throws(Fault) {
    var (request, seen) = (request, Set<String>())
    request.types = request.types?.filter { seen.insert($0).inserted }
    self =
      switch request.target {
      case .gguf: try RecipeSpace(gguf: files, request)
      case .mlx: try RecipeSpace(mlx: files, request)
      case .compressedTensors: try RecipeSpace(compressed: files, request)
      }
  }

  init(
    _ tensors: [DialectTensor], types: [String], fallback: String,
    storing: [String: [ExactText: Storing]], rest: Int
  ) {
    (self.tensors, self.types, self.fallback) = (tensors, types, fallback)
    (self.storing, self.rest) = (storing, rest)
  }

  /// Modules, each stored as the plan of a conversion to a type has it; all else takes what it takes in
  /// the first of the plans.
  ///
  /// - Parameters:
  ///   - owners: the names of weights, for those that share a global scale.
  ///   - modules: those among what a plan stores that types are chosen for.
  /// - Throws: what planning throws; `.usage` where there is no type.
  init<Type: RecipeType>(
    modulesIn types: [Type], owners: [Assembly: String] = [:],
    plan: (Type) throws(Fault) -> Plan,
    modules: (Plan, _ stored: [ExactText: Storing]) -> [DialectTensor]
  ) throws(Fault) {
    var storing: [String: [ExactText: Storing]] = [:]
    var sample: Plan?
    for type in types {
      let plan = try plan(type)
      storing[type.recipeName] = RecipeSpace.storing(ofModules: plan, owners)
      sample = sample ?? plan
    }
    guard let sample, let first = types.first?.recipeName else {
      throw Fault(.usage, "there is no type to choose from", expected: "--types")
    }
    let stored = storing[first] ?? [:]
    let tensors = modules(sample, stored)
    self.init(
      tensors, types: types.map(\.recipeName), fallback: first, storing: storing,
      rest: RecipeSpace.bytes(sample) - tensors.reduce(0) { $0 + (stored[$1.name]?.bytes ?? 0) })
  }

  /// Bytes of some tensors in a type.
  func bytes(of names: [ExactText], in type: String) -> Int {
    names.reduce(0) { $0 + (storing[type]?[$1]?.bytes ?? 0) }
  }

  /// The types that tensors can get together.
  func types(for names: [ExactText]) -> [String] {
    let offered = types.filter { barred[$0]?.isDisjoint(with: names) ?? true }
    return offered.isEmpty ? [fallback] : offered
  }

  /// What a conversion would write.
  static func plan(
    _ files: ModelFiles, _ target: Recipe.Target, _ request: RecipeRequest
  ) throws(Fault) -> Plan {
    var recipe = Recipe(target: target, outputName: "model.gguf")
    recipe.writesManifest = false
    // The files were opened, so that what is not known of them is ignored.
    recipe.ignoresUnknown = true
    return try Plan(
      files.source, recipe: recipe, resources: Resources(threads: request.threads))
  }

  /// By the name of a module's weight, how its numbers are stored and all that is stored of it.
  ///
  /// - Parameter owners: the names of weights, for those that share a global scale.
  static func storing(
    ofModules plan: Plan, _ owners: [Assembly: String] = [:]
  ) -> [ExactText: Storing] {
    var found: [ExactText: (encoding: StoredEncoding, bytes: Int)] = [:]
    for tensor in plan.tensors {
      let name = tensor.entry.name
      guard let end = name.text.utf8.lastIndex(of: UInt8(ascii: ".")) else { continue }
      let weight = ExactText(String(name.text[..<end])) + ".weight"
      found[weight, default: (.kept, 0)].bytes += tensor.entry.byteCount
      switch tensor.operation {
      case .quantize(let quantization, .codes):
        found[weight]?.encoding = encoding(quantization, owners)
      case .convert where [.f32, .f16, .bf16].contains(tensor.entry.type) && name == weight:
        found[weight]?.encoding = .codec(tensor.entry.type)
      default: continue
      }
    }
    return found.mapValues { Storing(encoding: $0, bytes: $1) }
  }

  private static func encoding(
    _ quantization: Quantization, _ owners: [Assembly: String]
  ) -> StoredEncoding {
    let type = quantization.type ?? .f32
    return switch quantization.method {
    case .groups(let scheme):
      .groups(scheme, of: type, joined: quantization.joined.compactMap { owners[$0] })
    case .blocks(let block, let format): .blocks(block, format, of: type)
    }
  }

  /// Bytes of a plan's tensors.
  static func bytes(_ plan: Plan) -> Int { plan.tensors.reduce(0) { $0 + $1.entry.byteCount } }
}

extension RecipeSpace {
  /// The types that are tried where none are named: those below 3 bits where there is an importance
  /// matrix, without which they are no choice.
  private static func usualTypes(with importance: ImportanceMatrix?) -> [ElementType] {
    let plain: [ElementType] = [.q2K, .q3K, .iq4XS, .q4K, .q5K, .q6K, .q80]
    return importance == nil
      ? plain : [.iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S] + plain
  }

  private static func types(_ request: RecipeRequest) throws(Fault) -> [ElementType] {
    guard let names = request.types else { return usualTypes(with: request.importance) }
    return try names.map { name throws(Fault) in
      let type = try ElementType.inRecipe(named: name)
      guard type.isBlock else {
        throw Fault(.usage, "a recipe chooses among types of blocks", found: name)
      }
      return type
    }
  }

  /// Types in which some tensors lose nothing, offered for these alone where none are named: that of
  /// codes of FP4 which are moved, and F32 for what llama.cpp's converter leaves so.
  private static func exactTypes(
    _ plan: Plan, _ tensors: [DialectTensor]
  ) -> [(type: ElementType, names: Set<ExactText>)] {
    var names: [ElementType: Set<ExactText>] = [:]
    for tensor in plan.tensors {
      guard let type = tensor.assembly.blockType ?? tensor.assembly.storedBlockType else {
        continue
      }
      names[type, default: []].insert(tensor.entry.name)
    }
    names[.f32] = Set(tensors.filter(RecipeGroup.staysPlain).map(\.name))
    return [.mxfp4, .nvfp4, .f32].compactMap { type in
      names[type].flatMap { $0.isEmpty ? nil : (type, $0) }
    }
  }

  /// Adds a type to those that are usual, which go by size.
  private static func insert(_ type: ElementType, into types: inout [ElementType]) {
    func size(_ type: ElementType) -> Int { type.byteCount(elements: 256) ?? .max }
    types.insert(type, at: types.firstIndex { size($0) > size(type) } ?? types.endIndex)
  }

  /// A GGUF file's types.
  fileprivate init(gguf files: ModelFiles, _ request: RecipeRequest) throws(Fault) {
    var types = try RecipeSpace.types(request)
    let made = Dictionary(
      files.config.ggufTensors().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let widest = try RecipeSpace.plan(files, .q80, sparing: [], request)
    let tensors = widest.tensors.filter(\.entry.type.isBlock).compactMap { made[$0.entry.name] }
    let grouped = Set(tensors.map(\.name))
    let exact = request.types == nil ? RecipeSpace.exactTypes(widest, tensors) : []
    for (type, _) in exact where !types.contains(type) {
      RecipeSpace.insert(type, into: &types)
    }
    // What a matrix says nothing of cannot have types that llama-quantize refuses without one.
    let unknown = widest.tensors.filter { tensor in
      tensor.entry.type.isBlock
        && request.importance?.names.contains(tensor.entry.name) != true
    }.map(\.entry.name)
    if request.importance == nil, let type = types.first(where: TypeMix.demandsImportance) {
      throw Fault(
        .usage, "\(type.rawValue) needs an importance matrix", expected: "--imatrix")
    }
    func name(_ type: ElementType) -> String { type.rawValue.lowercased() }
    var storing = [name(.q80): RecipeSpace.storing(widest)]
    for type in types where type != .q80 {
      let spared = TypeMix.demandsImportance(type) ? unknown : []
      storing[name(type)] = RecipeSpace.storing(
        try RecipeSpace.plan(files, type, sparing: spared, request))
    }
    self.init(
      tensors, types: types.map(name), fallback: name(.q80), storing: storing,
      rest: widest.tensors.reduce(0) {
        $0 + (grouped.contains($1.entry.name) ? 0 : $1.entry.byteCount)
      })
    if request.drawsCurve { standards = try RecipeSpace.mixes(files, request) }
    for type in types where TypeMix.demandsImportance(type) { barred[name(type)] = Set(unknown) }
    for (type, names) in exact { barred[name(type)] = grouped.subtracting(names) }
  }

  /// The file in which every tensor has a type that can, but for some, which have Q8_0.
  private static func plan(
    _ files: ModelFiles, _ type: ElementType, sparing names: [ExactText], _ request: RecipeRequest
  ) throws(Fault) -> Plan {
    var recipe = GGUFRecipe(GGUFFileType.mostly(type) ?? .mxfp4MoE, base: type)
    recipe.importance = request.importance
    recipe.allowsRequantizing = true
    for name in names {
      recipe.tensorTypes.append(try TensorTypeRule(.glob(name.text), .q80))
    }
    return try plan(files, .gguf(recipe), request)
  }

  private static func storing(_ plan: Plan) -> [ExactText: Storing] {
    Dictionary(
      plan.tensors.map { tensor in
        // Codes that are moved, or stay, lose nothing.
        let isMoved =
          [.carried, .copied].contains(tensor.treatment) && tensor.entry.type.isBlock
        return (
          tensor.entry.name,
          Storing(
            encoding: isMoved ? .kept : .codec(tensor.entry.type), bytes: tensor.entry.byteCount)
        )
      }, uniquingKeysWith: { first, _ in first })
  }

  /// llama-quantize's mixes of K and IQ types, those alone that it makes with this matrix.
  private static func mixes(
    _ files: ModelFiles, _ request: RecipeRequest
  ) throws(Fault) -> [Standard] {
    let mixed: [GGUFFileType] = [
      .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq2M, .iq3XXS, .iq3XS, .iq3S, .iq3M, .q2KS, .q2K,
      .q3KS, .q3KM, .q3KL, .iq4XS, .iq4NL, .q4KS, .q4KM, .q5KS, .q5KM, .q6K, .q80,
    ]
    var standards: [Standard] = []
    for type in mixed {
      var recipe = GGUFRecipe(type)
      recipe.importance = request.importance
      recipe.allowsRequantizing = true
      let plan: Plan
      do throws(Fault) {
        plan = try RecipeSpace.plan(files, .gguf(recipe), request)
      } catch {
        guard error.kind == .usage else { throw error }
        continue
      }
      standards.append(
        Standard(name: type.name, storing: storing(plan), bytes: bytes(plan)))
    }
    return standards
  }
}

extension Assembly {
  /// The type of ggml's blocks of FP4 that it is stored in; nil for anything else.
  fileprivate var storedBlockType: ElementType? {
    guard case .ggml(let type)? = codeForm else { return nil }
    return type
  }
}
