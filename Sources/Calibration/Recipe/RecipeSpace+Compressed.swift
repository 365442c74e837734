internal import Conversion
internal import Dialects
internal import Formats
internal import Models
internal import Passes
internal import Platform
internal import Tensors
internal import Weights

extension RecipeSpace {
  /// The schemes that are tried where none are named.
  private static let usualSchemes = [
    "int4-g128", "int4-g32", "nvfp4", "int8-channel", "fp8-block", "plain",
  ]
  /// What all modules are stored in elsewhere, or routed experts alone.
  private static let standardSchemes = [
    "int4-g128", "int4-g32", "mxfp4", "nvfp4", "int8-channel", "fp8-block", "int4-g128-experts",
    "int4-g32-experts", "nvfp4-experts",
  ]

  /// The schemes of a checkpoint in compressed-tensors' formats.
  init(compressed files: ModelFiles, _ request: RecipeRequest) throws(Fault) {
    let types = try (request.types ?? RecipeSpace.usualSchemes).map { name throws(Fault) in
      try CompressedMix.Storage.inRecipe(named: name)
    }
    var owners: [Assembly: String] = [:]
    for weight in files.weights.all { owners[weight.assembly] = weight.name.text }
    try self.init(modulesIn: types, owners: owners) { type throws(Fault) in
      try RecipeSpace.plan(files, .compressedMix(CompressedMix(base: type)), request)
    } modules: { _, stored in
      files.config.expectedTensors().compactMap { tensor in
        let name = files.config.storedName(of: tensor.name)
        guard CompressedMix.module(of: tensor) != nil, stored[name] != nil else { return nil }
        return DialectTensor(tensor, named: name)
      }
    }
    if request.drawsCurve {
      standards = try RecipeSpace.standardSchemes(files, owners, request)
    }
    defaults = self.types
  }

  /// One scheme for all modules, or for the routed experts, where the source can be stored so.
  private static func standardSchemes(
    _ files: ModelFiles, _ owners: [Assembly: String], _ request: RecipeRequest
  ) throws(Fault) -> [Standard] {
    try standardSchemes.compactMap { CompressedRecipe(named: $0) }.map { recipe throws(Fault) in
      let plan = try plan(files, .compressed(.compressedTensors(recipe)), request)
      return Standard(
        name: recipe.name, storing: storing(ofModules: plan, owners), bytes: bytes(plan))
    }
  }
}
