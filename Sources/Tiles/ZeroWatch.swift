package import Formats
internal import Locks
package import Platform
internal import Weights

/// Looks at what a conversion reads of its source, and remembers which tensors hold a number other
/// than zero: a weight of zeros alone was never written, or lies in a hole of its file.
final class ZeroWatch: Sendable {
  private struct State {
    /// Whether a tensor holds anything but zeros, by its index.
    var isFilled: [Bool]
    /// Bytes that were read of one that holds none so far.
    var zeroBytes: [Int: Int] = [:]
  }

  private let inventory: Inventory
  private let state: Guarded<State>

  init(_ inventory: Inventory) {
    self.inventory = inventory
    state = Guarded(State(isFilled: [Bool](repeating: false, count: inventory.tensors.count)))
  }

  /// Takes bytes of a tensor, in any order; nearly all hold a number at their start.
  func look(at bytes: UnsafeRawBufferPointer, of tensor: StoredTensor) {
    let isFilled = bytes.contains { $0 != 0 }
    state.withLock { state in
      if isFilled {
        state.isFilled[tensor.index] = true
      } else if !state.isFilled[tensor.index] {
        state.zeroBytes[tensor.index, default: 0] += bytes.count
      }
    }
  }

  /// Matrices and norms that were read wholly and are zero, and scales that are zero beside codes
  /// which are not, in the order of their bytes.
  ///
  /// - Parameter weights: those of the source: they tell which scales are whose.
  func found(in weights: SourceWeights) -> [ExactText] {
    let (isFilled, zeros) = state.withLock { state in
      (
        state.isFilled,
        Set(
          state.zeroBytes.keys.filter {
            !state.isFilled[$0]
              && state.zeroBytes[$0, default: 0] >= inventory.tensors[$0].byteCount
          })
      )
    }
    guard !zeros.isEmpty else { return [] }
    var found = zeros.filter { inventory.tensors[$0].cannotBeZero }
    for weight in weights.all {
      weight.assembly.forEachLeaf { codes, scaling in
        guard let scales = scaling?.scales.index, isFilled[codes.index], zeros.contains(scales)
        else { return }
        found.insert(scales)
      }
    }
    return found.sorted().map { inventory.tensors[$0].name }
  }
}

extension Inventory {
  /// Throws `.malformed` where a file ends in zeros that cannot be weights; what is deleted already,
  /// or read from elsewhere, was looked at before, and what cannot be read is for the conversion to say.
  package func requireNoZeroTail() throws(Fault) {
    let groups = Dictionary(grouping: tensors, by: \.shard)
    fetchEndsAhead()
    for (number, shard) in shards.enumerated() where !shard.file.isGone {
      guard let tail = (try? ZeroTail(of: shard.file, holding: groups[number] ?? [])) ?? nil else {
        continue
      }
      throw tail.fault(of: shard.file.path)
    }
  }
}
