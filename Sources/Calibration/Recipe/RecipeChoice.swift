/// Chooses one of several options for each of some groups, so that what they lose together is least
/// within a budget: a knapsack with choices.
///
/// Sizes are counted in steps of a 20,000th of the budget, rounded up, so that every choice fits;
/// within that the best is found. `bound` says what no choice can be better than.
package struct RecipeChoice {
  /// What a group takes and loses in one type.
  package struct Option: Sendable, Hashable {
    /// Bytes of the group's tensors.
    package let bytes: Int
    /// What is lost.
    package let loss: Double

    /// Makes an option.
    package init(bytes: Int, loss: Double) { (self.bytes, self.loss) = (bytes, loss) }
  }

  private static let steps = 20_000

  /// For each group what may be chosen for it.
  package let groups: [[Option]]

  /// Takes the options of each group; each has one at least.
  package init(groups: [[Option]]) { self.groups = groups }

  /// The best choice within `budget` bytes: for each group the option's index; nil where nothing
  /// fits.
  package func best(within budget: Int) -> [Int]? {
    let fixed = groups.map { $0.map(\.bytes).min() ?? 0 }
    let room = budget - fixed.reduce(0, +)
    guard room >= 0 else { return nil }
    // What options take beyond the smallest of their group.
    let step = max(1, (room + RecipeChoice.steps - 1) / RecipeChoice.steps)
    let size = room / step + 1
    var losses = [Double](repeating: 0, count: size)
    var choices: [[Int]] = []
    for (options, least) in zip(groups, fixed) {
      var next = [Double](repeating: .infinity, count: size)
      var chosen = [Int](repeating: -1, count: size)
      for (index, option) in options.enumerated() {
        let need = (option.bytes - least + step - 1) / step
        guard need < size else { continue }
        for place in need..<size where losses[place - need] + option.loss < next[place] {
          next[place] = losses[place - need] + option.loss
          chosen[place] = index
        }
      }
      losses = next
      choices.append(chosen)
    }
    var place = size - 1
    var result = [Int](repeating: 0, count: groups.count)
    for group in groups.indices.reversed() {
      let index = choices[group][place]
      guard index >= 0 else { return nil }
      result[group] = index
      place -= (groups[group][index].bytes - fixed[group] + step - 1) / step
    }
    return result
  }

  /// The smallest choice that loses at most `loss`; nil where none does.
  package func smallest(losing loss: Double) -> [Int]? {
    let sizes = groups.map { $0.map(\.bytes) }
    var (low, high) = (
      sizes.reduce(0) { $0 + ($1.min() ?? 0) }, sizes.reduce(0) { $0 + ($1.max() ?? 0) }
    )
    guard let most = best(within: high), self.loss(of: most) <= loss else { return nil }
    var found = most
    // The least loss within a budget falls as that grows.
    while low < high {
      let middle = low + (high - low) / 2
      if let choice = best(within: middle), self.loss(of: choice) <= loss {
        (found, high) = (choice, middle)
      } else {
        low = middle + 1
      }
      if high - low <= high / (4 * RecipeChoice.steps) { break }
    }
    return found
  }

  /// The best choices of sizes from the smallest to the largest that loses less than all before it.
  package func frontier(points: Int = 48) -> [[Int]] {
    let sizes = groups.map { $0.map(\.bytes) }
    let least = sizes.reduce(0) { $0 + ($1.min() ?? 0) }
    let most = sizes.reduce(0) { $0 + ($1.max() ?? 0) }
    var result: [[Int]] = []
    for point in 0..<points {
      guard let found = best(within: least + (most - least) * point / max(1, points - 1)) else {
        continue
      }
      if let last = result.last, loss(of: found) >= loss(of: last) { continue }
      result.append(found)
    }
    return result
  }

  /// What is lost by the choice that loses least, whatever it takes.
  package var leastLoss: Double { groups.reduce(0) { $0 + ($1.map(\.loss).min() ?? 0) } }

  /// What a choice loses.
  package func loss(of choice: [Int]) -> Double {
    zip(groups, choice).reduce(0) { $0 + $1.0[$1.1].loss }
  }

  /// What it takes.
  package func bytes(of choice: [Int]) -> Int {
    zip(groups, choice).reduce(0) { $0 + $1.0[$1.1].bytes }
  }

  /// A loss that no choice within the budget goes below: for any price of a byte, the sum of what
  /// each group would pick at it, less the price of the whole budget. The best of many prices.
  package func bound(within budget: Int) -> Double {
    var best = leastLoss
    // Prices between any two options of a group are those at which its choice changes.
    var prices: [Double] = []
    for options in groups {
      for (a, b) in zip(options, options.dropFirst()) where a.bytes != b.bytes {
        prices.append(abs((a.loss - b.loss) / Double(a.bytes - b.bytes)))
      }
    }
    for price in prices {
      let total = groups.reduce(-price * Double(budget)) { sum, options in
        sum + (options.map { $0.loss + price * Double($0.bytes) }.min() ?? 0)
      }
      best = max(best, total)
    }
    return best
  }
}
