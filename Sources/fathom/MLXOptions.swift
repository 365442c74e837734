internal import ArgumentParser
internal import Conversion
internal import Dialects
package import Naming

/// What only MLX models have.
struct MLXOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Columns that share a scale, with 2bit to 8bit: 32, 64 or 128. Default: 64, as in mlx-lm.",
      valueName: "n"))
  var groupSize: Int?

  @Option(help: "Names of the attention's matrices: mlx-lm's, or mlx-swift-lm's (mlx-swift).")
  var layout: MLXNames.Layout?

  /// Names all looked up.
  func recipe(_ quant: String?) throws -> MLXRecipe {
    if quant == nil, groupSize != nil { throw ValidationError("--group-size goes with --quant") }
    return MLXRecipe(
      try quant.map { try MLXStorage(named: $0, groupSize: groupSize) }, layout: layout ?? .mlxLM)
  }

  /// Throws where an option is used with another format.
  func requireUnused() throws {
    guard groupSize == nil, layout == nil else {
      throw ValidationError("--group-size and --layout go with --to mlx")
    }
  }
}

extension MLXNames.Layout: ExpressibleByArgument {}
