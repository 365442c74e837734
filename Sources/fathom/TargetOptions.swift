internal import ArgumentParser
package import Dialects
internal import Weights

/// What a conversion is asked for. A group of its own, so that help has the option that must be given
/// before all others.
struct TargetOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Format to write.", valueName: "format"))
  var to: Dialect.Target

  @Option(
    help: ArgumentHelp(
      """
      Type of the weights: \(WeightStorage.all.map(\.name).joined(separator: ", ")) for hf and deepseek; a file \
      type of llama.cpp for gguf, such as f16, q8_0, q4_k_m or iq2_xxs, and of DeepSeek-V4 nothing for those of its \
      converter; for mlx bf16, f16, f32, 2bit to 8bit, \
      mxfp4, mxfp8 or nvfp4; fp8-block, fp8-channel, nvfp4, mxfp4, int4-g32, int8-channel, \
      int4-g128-asymmetric and the like for compressed-tensors, nvfp4 for modelopt, both with -experts behind \
      it to leave all but routed experts as they are.
      """, valueName: "type"))
  var quant: String?

  @Option(
    help: ArgumentHelp(
      "Types by name and layer, for gguf, mlx and compressed-tensors; see Schemas/recipe.schema.json.",
      valueName: "file"))
  var recipe: String?
}

extension Dialect.Target: ExpressibleByArgument {}
