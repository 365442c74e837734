internal import Codecs
internal import Formats
internal import Models
internal import Platform
internal import Tensors
internal import Weights

/// NVFP4 whose scales are multiplied, or divided, by a number for each matrix: codes and scales become
/// ggml's blocks, and llama.cpp multiplies by the number, which stands in a tensor of its own.
struct BlocksTimesNumber {
  /// The codes with their scales, as if there was no number.
  let blocks: Assembly
  /// The numbers, (matrices, 1).
  let numbers: Assembly
  /// What becomes of a stored number.
  let operation: Operation

  /// Takes a matrix, or a stack of them, apart; nil where not all of it is such NVFP4.
  init?(_ weight: Assembly) {
    guard let parts = weight.matrices,
      let scheme = weight.scheme, [.nvfp4, .modelOptNVFP4].contains(scheme)
    else { return nil }
    var (codes, factors): ([Assembly], [Assembly]) = ([], [])
    for (tensor, scaling) in parts {
      guard let scaling, scaling.columnGroups == nil, let factor = scaling.globalScale,
        let shape = Shape([1, 1]), let number = factor.seen(as: .f32, shape),
        let plain = Scaling(
          scaling.scales, scheme: .mlxNVFP4, rows: scaling.scales.shape.dimensions[0],
          columns: tensor.shape.dimensions.last ?? 0)
      else { return nil }
      codes.append(Assembly(tensor, scaling: plain))
      factors.append(Assembly(number))
    }
    guard !codes.isEmpty else { return nil }
    blocks = codes.count == 1 ? codes[0] : .stacked(codes)
    numbers = factors.count == 1 ? factors[0] : .stacked(factors)
    operation = scheme == .nvfp4 ? .change(.reciprocal) : .convert
    guard blocks.packing(into: .nvfp4) != nil else { return nil }
  }
}

extension Assembly {
  /// The stored matrices that it is, one below the other; nil where it is put together otherwise.
  fileprivate var matrices: [(tensor: StoredTensor, scaling: Scaling?)]? {
    switch form {
    case .stored(let tensor, let scaling): return [(tensor, scaling)]
    case .stacked(let parts):
      let inner = parts.compactMap(\.matrices)
      return inner.count == parts.count ? inner.flatMap { $0 } : nil
    case .joined, .beside, .slices, .transposedSlices, .columns: return nil
    }
  }
}
