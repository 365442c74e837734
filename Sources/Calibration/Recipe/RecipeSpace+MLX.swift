internal import Conversion
internal import Dialects
internal import Formats
internal import Mixes
internal import Models
internal import Naming
internal import Passes
internal import Platform
internal import Tensors

extension RecipeSpace {
  /// The types that are tried where none are named.
  private static let usualTypes = [
    "2bit", "2bit-g32", "3bit", "mxfp4", "4bit", "5bit", "6bit", "8bit",
  ]

  /// An MLX model's bits and groups.
  init(mlx files: ModelFiles, _ request: RecipeRequest) throws(Fault) {
    let types = try (request.types ?? RecipeSpace.usualTypes).map { name throws(Fault) in
      try MLXStorage.inRecipe(named: name)
    }
    try self.init(modulesIn: types) { type throws(Fault) in
      // As the default a plain type would be that of scales and vectors too.
      var recipe = MLXRecipe(type.setting == nil ? nil : type)
      if type.setting == nil { recipe.rules = [RecipeFile.Rule(match: "*", type: type)] }
      return try RecipeSpace.plan(files, .mlx(recipe), request)
    } modules: { plan, _ in
      let names = Set(plan.tensors.map(\.entry.name))
      return files.config.mlxTensors(.mlxLM).filter {
        $0.shape.dimensions.count > 1 && $0.part != .router && names.contains($0.name)
      }
    }
    if request.drawsCurve {
      standards = try RecipeSpace.standards(files, modules: tensors, request)
    }
    defaults = types.filter { $0.setting != nil }.map(\.recipeName)
  }

  /// What mlx-lm makes of a model: one setting for all modules, or one of its four mixes.
  private static func standards(
    _ files: ModelFiles, modules: [DialectTensor], _ request: RecipeRequest
  ) throws(Fault) -> [Standard] {
    var recipes: [(name: String, recipe: MLXRecipe)] = MLXStorage.all.compactMap {
      $0.setting == nil ? nil : ($0.name, MLXRecipe($0))
    }
    for (low, high) in [(2, 6), (3, 4), (3, 6), (4, 6)] {
      var recipe = MLXRecipe(try MLXStorage(named: "\(low)bit"))
      let wide = try MLXStorage(named: "\(high)bit")
      recipe.rules = modules.filter { hasMoreBits($0, layers: files.config.layers) }.map {
        RecipeFile.Rule(match: MLXNames.module(of: $0.name).text, type: wide)
      }
      recipes.append(("mixed_\(low)_\(high)", recipe))
    }
    return try recipes.map { name, recipe throws(Fault) in
      let plan = try RecipeSpace.plan(files, .mlx(recipe), request)
      return Standard(name: name, storing: storing(ofModules: plan), bytes: bytes(plan))
    }
  }

  /// Whether mlx-lm's mixes give a module the larger number of bits.
  ///
  /// Source: mlx-lm 0.32, `mixed_quant_predicate_builder`.
  private static func hasMoreBits(_ tensor: DialectTensor, layers: Int) -> Bool {
    if tensor.name.contains("lm_head") { return true }
    guard ["v_proj", "v_a_proj", "v_b_proj", "down_proj"].contains(where: tensor.name.contains)
    else { return false }
    let (layer, eighth) = (tensor.layer ?? 0, layers / 8)
    return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
  }
}
