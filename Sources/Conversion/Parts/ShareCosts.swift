internal import Dialects
internal import Formats

/// What each share of a plan costs, in seconds of one core.
package struct ShareCosts {
  /// By share.
  package let seconds: [Double]

  /// Of all shares.
  package var total: Double { seconds.reduce(0, +) }

  /// Divides a plan into so many shares.
  package init(_ plan: Plan, count: Int) {
    let cuts = ShareCuts(plan, count: count)
    let costs = cuts.costs
    var seconds = [Double](repeating: 0, count: count)
    var number = 0
    for (file, placed) in plan.layout.files.enumerated() {
      for (index, (tensor, offset)) in zip(placed.tensors, placed.offsets).enumerated() {
        let size = max(1, plan.tensors[tensor].entry.byteCount)
        var start = offset
        // A tensor may lie in several shares.
        while start < offset + size {
          while number + 1 < count,
            cuts.places[number + 1] <= ShareCuts.Place(file: file, position: start)
          { number += 1 }
          let cut = cuts.places[number + 1]
          let end =
            cut.file == file ? min(offset + size, max(cut.position, start + 1)) : offset + size
          seconds[number] += costs.files[file][index] * Double(end - start) / Double(size) * 1e-9
          start = end
        }
      }
    }
    self.seconds = seconds
  }
}
