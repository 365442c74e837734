package import Platform

extension ModelConfig {
  /// MTP layers that are declared and of which nothing is there, with a tensor that each should have.
  ///
  /// - Parameters:
  ///   - expected: what should be there, under the names of the files, with its layer.
  ///   - isThere: whether something of that name is.
  package func absentMTPLayers(
    _ expected: some Sequence<(name: ExactText, layer: Int?)>, _ isThere: (ExactText) -> Bool
  ) -> [(layer: Int, first: ExactText)] {
    guard mtpLayers > 0 else { return [] }
    var first: [Int: ExactText] = [:]
    var present: Set<Int> = []
    for (name, layer) in expected {
      guard let layer, layer >= layers, !present.contains(layer) else { continue }
      if first[layer] == nil { first[layer] = name }
      if isThere(name) { present.insert(layer) }
    }
    return (layers..<storedLayers).compactMap { layer in
      present.contains(layer) ? nil : first[layer].map { (layer, $0) }
    }
  }
}
