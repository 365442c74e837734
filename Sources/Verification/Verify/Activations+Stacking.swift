internal import Models
internal import Platform
internal import Reference
internal import Tensors

extension Activations {
  /// A copy.
  var copy: Activations {
    let result = rows(0..<rows)
    result.chosenKeys = chosenKeys?.rows(0..<rows)
    result.streams = streams?.copy
    return result
  }

  /// All rows of some activations of one width, one after the other.
  ///
  /// Every operation of `Network` treats rows of different sequences apart, so that several states
  /// of one batch can go through a layer together and its weights are read once.
  convenience init(joining parts: [Activations]) {
    precondition(parts.allSatisfy { $0.columns == parts[0].columns })
    self.init(unwrittenRows: parts.reduce(0) { $0 + $1.rows }, columns: parts[0].columns)
    var start = 0
    for part in parts {
      for row in 0..<part.rows { _ = self[start + row].update(fromContentsOf: part[row]) }
      start += part.rows
    }
    chosenKeys = KeySets.joined(parts.map { ($0.chosenKeys, $0.rows) })
    let streams = parts.compactMap(\.streams)
    if streams.count == parts.count { self.streams = Activations(joining: streams) }
  }

  /// Cuts what was joined of `count` equally long parts.
  func split(_ count: Int) -> [Activations] {
    let size = rows / count
    return (0..<count).map {
      let range = $0 * size..<($0 + 1) * size
      let part = rows(range)
      part.chosenKeys = chosenKeys?.rows(range)
      part.streams = streams?.rows(range)
      return part
    }
  }

  /// Σ x², in double precision.
  var energy: Double { values.reduce(0) { $0 + Double($1) * Double($1) } }
}

extension Routing {
  /// Cuts the choices for what was joined of `count` equally long parts.
  func split(_ count: Int) -> [Routing] {
    let size = experts.count / count
    return (0..<count).map {
      let range = $0 * size..<($0 + 1) * size
      return Routing(
        choices: choices, experts: Array(experts[range]), weights: Array(weights[range]))
    }
  }

  /// How far the candidate's weights of experts are from these, an expert that is not chosen
  /// having weight 0: adds Σ |candidate − this| / Σ this of each token to `total`, from 0 for equal
  /// weights to 2 for other experts with weights of the same sum.
  func addWeightDifferences(to candidate: Routing, onto total: inout DoubleSum) {
    precondition(candidate.experts.count == experts.count && candidate.choices == choices)
    for start in stride(from: 0, to: experts.count, by: choices) {
      var weights: [Int: Double] = [:]
      var sum = 0.0
      for place in start..<start + choices {
        weights[experts[place]] = Double(self.weights[place])
        sum += abs(Double(self.weights[place]))
      }
      for place in start..<start + choices {
        weights[candidate.experts[place], default: 0] -= Double(candidate.weights[place])
      }
      // Sorted, so that the order of a hash table does not show in the last digit.
      let difference = weights.values.map { abs($0) }.sorted().reduce(0, +)
      total.add(difference == 0 ? 0 : difference / sum)
    }
  }
}

extension TokenBatch {
  /// The same sequences `count` times, for activations that were joined.
  func times(_ count: Int) throws(Fault) -> TokenBatch {
    count == 1
      ? self
      : try TokenBatch((0..<count).flatMap { _ in sequences }, vocabSize: .max)
  }
}
