package import Formats
package import Platform
internal import Tensors

/// A tensor that stands beside codes, under their module's name, without being a part that their
/// format knows.
///
/// Whatever it is, it says something of those codes: GPTQ's order of the columns, a second scale, a
/// scale of the inputs that the weights were divided by. Codes that are decoded without it may be
/// wrong, so a weight has it as its fault, unless it is known to be about other numbers.
package struct CodeCompanion {
  private let tensor: StoredTensor
  /// The weight that the codes are of, by its name in the files.
  package let weight: ExactText
  /// Whether it is about other numbers.
  package let isHarmless: Bool

  /// Names of codes below a module, and the types that make them codes; nil for any.
  private static let codes: [(name: ExactText, types: Set<ElementType>?)] = [
    ("weight_packed", nil), ("weight", [.f8E4M3, .f8E5M2, .i8, .u8, .u32]),
  ]
  /// A module's own further numbers.
  private static let ordinary: Set<ExactText> = ["weight", "bias"]

  /// Nil for what stands beside no codes.
  ///
  /// - Parameter stored: what there is by its name.
  package init?(_ tensor: StoredTensor, _ stored: (ExactText) -> StoredTensor?) {
    // By far the most: a look at its end spares taking the name apart.
    guard !tensor.name.hasSuffix(".weight") else { return nil }
    let parts = tensor.name.split(separator: ".")
    guard let last = parts.last, parts.count > 1, !CodeCompanion.ordinary.contains(last) else {
      return nil
    }
    let module = parts.dropLast().joined(separator: ".")
    let hasCodes = CodeCompanion.codes.contains { name, types in
      guard let codes = stored("\(module).\(name)"), codes.name != tensor.name else {
        return false
      }
      return types?.contains(codes.type) ?? true
    }
    guard hasCodes else { return nil }
    self.tensor = tensor
    weight = "\(module).weight"
    isHarmless = TensorKind.of(tensor.name)?.isHarmless == true
  }

  /// What is wrong with the weight.
  ///
  /// - Parameter path: the file that holds it.
  package func fault(_ path: String) -> Fault {
    Fault(
      .malformed, "stands beside codes and is not known: it may change what they mean",
      file: path, tensor: tensor.name,
      expected: "codes and scales as quantization_config has them",
      found: "\(tensor.shape) of \(tensor.type.rawValue)")
  }
}
