package import Tensors

/// A storage type that weights can be converted to, as a row of the table of `--quant` names.
package struct WeightStorage: Sendable, Hashable {
  /// The name on the command line.
  package let name: String
  /// The type of the weights' elements.
  package let type: ElementType
  /// What `torch_dtype` says of a checkpoint in this type; nil where the type needs scales, so that
  /// `torch_dtype` speaks of the other tensors.
  package let dataTypeName: String?

  /// All rows.
  package static let all: [WeightStorage] = [
    WeightStorage(name: "bf16", type: .bf16, dataTypeName: "bfloat16"),
    WeightStorage(name: "f16", type: .f16, dataTypeName: "float16"),
    WeightStorage(name: "f32", type: .f32, dataTypeName: "float32"),
    WeightStorage(name: "fp8", type: .f8E4M3, dataTypeName: nil),
  ]

  /// The row with that name, in any case; nil where there is none.
  package static func named(_ name: String) -> WeightStorage? {
    all.first { $0.name == name.lowercased() }
  }
}
