internal import Formats
internal import Models
internal import Platform
internal import Tensors
internal import Weights

/// Routed experts of DeepSeek-V4 in FP4.
extension Planner {
  /// Copies codes and scales as they are stored, two codes in a byte of I8.
  ///
  /// - Returns: whether the weight is such.
  mutating func copyFP4(_ weight: SourceWeight) throws(Fault) -> Bool {
    guard source.config.v4?.hasFP4Experts == true, weight.type == .f4,
      let (tensor, scaling) = weight.assembly.single, let scales = scaling?.scales,
      let bytes = Shape([tensor.shape.dimensions[0], tensor.shape.dimensions[1] / 2]),
      let codes = tensor.seen(as: .i8, bytes)
    else { return false }
    try append(
      OutputLayout.Entry(name: weight.name, type: .i8, shape: bytes), Assembly(codes), .copy,
      "kept as it is", of: weight)
    try append(
      OutputLayout.Entry(
        name: ExpectedTensor.scaleName(for: weight.name), type: scales.type, shape: scales.shape),
      Assembly(scales), .copy, "kept as they are", of: weight)
    return true
  }

  /// Adds a table of experts, which published checkpoints have in I64 and GGUF files in I32.
  mutating func addTable(_ weight: SourceWeight) throws(Fault) {
    let isKept = source.format != .gguf
    try add(
      weight, isKept ? weight.type : .i64, "a table of experts" + (isKept ? ": kept as it is" : ""))
  }

  /// Throws `.usage` for what cannot be asked of DeepSeek-V4.
  static func requireWritable(_ source: SourceModel, _ recipe: Recipe) throws(Fault) {
    guard source.config.v4 != nil else { return }
    if let maker = recipe.target.maker {
      try SourceCheck.requireUsualLayers(
        source, of: "\(maker.title ?? "compressed-tensors")'s loaders")
    }
    guard recipe.weights?.type == .f8E4M3 else { return }
    throw Fault(
      .usage, "is DeepSeek-V4, which is not quantized to FP8 here", file: source.checkpoint.folder,
      expected: "--quant bf16, f16 or f32, or none to keep what it has",
      found: "model_type \(source.config.modelType)")
  }
}
