package import Formats
package import Models
package import Platform
package import Tensors

/// What is wrong with a weight of a network: what the config implies against what is there.
///
/// `convert` and the forward pass stop at the first, `validate` tells all of them.
package enum WeightDefect: Sendable {
  /// There is none.
  case missing
  /// Its format's reader can make no weight of what is stored.
  case unreadable(Fault)
  /// Numbers of a type that it cannot have; what it can have, for people.
  case type(StoredTensor, expected: String)
  /// Codes that nothing scales; the name that the scales would have.
  case scales(StoredTensor, expected: ExactText)
  /// Another shape.
  case shape(Shape, of: StoredTensor)
}

extension SourceWeights {
  /// What is wrong with a weight; nil where nothing is.
  ///
  /// - Parameter expected: what should be there, scales apart, which belong to their weights.
  package func defect(of expected: ExpectedTensor) -> WeightDefect? {
    // One that is there may have something beside it that changes its numbers.
    if let fault = faults[expected.name] { return .unreadable(fault) }
    guard let weight = self[expected.name] else { return .missing }
    for (stored, scaling) in weight.assembly.leaves {
      if let defect = SourceWeights.defect(of: stored, scaling, expected) { return defect }
    }
    return weight.shape == expected.shape
      ? nil : .shape(weight.shape, of: weight.assembly.first.tensor)
  }

  private static func defect(
    of stored: StoredTensor, _ scaling: Scaling?, _ expected: ExpectedTensor
  ) -> WeightDefect? {
    if expected.storage == .indices {
      let isIndex = stored.type == .i64 || stored.type == .i32
      return isIndex ? nil : .type(stored, expected: "I64 or I32")
    }
    let isMatrix = expected.shape.dimensions.count == 2
    if scaling != nil ? isMatrix : plainTypes.contains(stored.type) || stored.type.isBlock {
      return nil
    }
    if stored.type == .f8E4M3 || stored.type == .f4, scaling == nil, isMatrix {
      return .scales(stored, expected: ExpectedTensor.scaleName(for: expected.name))
    }
    return .type(
      stored, expected: "BF16, F16 or F32" + (isMatrix ? ", or codes with scales" : ""))
  }

  /// What stops a command that needs the weight, with the file and what is there instead.
  package func fault(of expected: ExpectedTensor, _ defect: WeightDefect) -> Fault {
    func fault(_ message: String, _ stored: StoredTensor, _ expects: String, _ found: String)
      -> Fault
    {
      Fault(
        .malformed, message, file: path(of: stored), tensor: expected.name, expected: expects,
        found: found)
    }
    switch defect {
    case .missing:
      return Fault(
        .malformed, "is missing",
        file: inventory.shards.first.map { Folder.parent(of: $0.file.path) },
        tensor: expected.name, expected: "\(expected.shape)", found: "nothing")
    case .unreadable(let fault): return fault
    case .type(let stored, let types):
      return fault("has the wrong type", stored, types, stored.type.rawValue)
    case .scales(let stored, let name): return fault("has no scales", stored, name.text, "nothing")
    case .shape(let shape, let stored):
      return fault("has the wrong shape", stored, "\(expected.shape)", "\(shape)")
    }
  }
}
