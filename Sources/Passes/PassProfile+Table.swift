internal import Codecs
package import Reference
package import Reports

extension PassProfile.Stage {
  /// The stage as tables name it.
  package var name: String {
    switch self {
    case .other: "other"
    case .embedding: "embedding"
    case .attention: "attention"
    case .router: "router"
    case .experts: "routed experts"
    case .mlp: "MLP, shared experts"
    case .head: "norm and head"
    }
  }
}

extension PassProfile {
  /// The stages that took time and all together: seconds, their share of the pass, operations of
  /// products in a second, and what the threads did in that time.
  package func table(threads: Int) -> TextTable {
    var table = TextTable(
      [("stage", .left)]
        + [
          "seconds", "share", "GFLOP/s", "products", "unpacking", "reading", "output", "rest",
          "waiting",
        ].map { ($0, .right) })
    let all = stages.reduce(Entry()) { $0 + $1.entry }
    for (stage, entry) in stages where entry.seconds > 0.0005 * all.seconds {
      table.add(PassProfile.cells(stage.name, entry, of: all.seconds, threads: threads))
    }
    table.add(PassProfile.cells("all", all, of: all.seconds, threads: threads))
    return table
  }

  private static func cells(
    _ name: String, _ entry: Entry, of seconds: Double, threads: Int
  ) -> [String] {
    let time = max(entry.seconds * Double(threads), .leastNormalMagnitude)
    let parts = [
      entry.work.multiplying, entry.work.unpacking, entry.work.reading, entry.work.handing,
    ].map { $0 / .seconds(1) }
    // Where threads wait for a disk while they read, the processor's time is the less of both.
    let rest = max(0, entry.processor - parts.reduce(0, +))
    let waiting = max(0, time - parts.reduce(rest, +))
    return [
      name, Quantity.fixed(entry.seconds, digits: 3), percent(entry.seconds / seconds),
      entry.work.operations == 0
        ? "–" : Quantity.fixed(Double(entry.work.operations) / entry.seconds / 1e9, digits: 0),
    ] + (parts + [rest, waiting]).map { percent($0 / time) }
  }

  private static func percent(_ share: Double) -> String {
    "\(Quantity.fixed(100 * share, digits: 1)) %"
  }
}
