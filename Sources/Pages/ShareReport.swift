package import Conversion
internal import Dialects
internal import Formats
package import Platform
internal import Reports

/// What is said of a part: by a dry run, and by the run that has written it.
package struct ShareReport {
  private let share: Share
  private let plan: Plan
  private let origin: String?
  private let cost: (own: Double, all: Double, most: Double)

  /// Describes a share of a plan.
  ///
  /// - Parameter origin: where its number was taken from; nil where the user gave it.
  package init(_ share: Share, of plan: Plan, origin: String?) {
    (self.share, self.plan, self.origin) = (share, plan, origin)
    let costs = ShareCosts(plan, count: share.count)
    cost = (costs.seconds[share.number - 1], costs.total, costs.seconds.max() ?? 0)
  }

  /// The member `part` of the documents of schemas `fathom.plan/1` and `fathom.convert/1`.
  package var json: JSONValue {
    .object([
      "number": .integer(share.number), "of": .integer(share.count),
      "from": origin.map { .string($0) } ?? .null, "bytes": .integer(share.byteCount),
      "coreSeconds": .number(cost.own), "coreSecondsOfAll": .number(cost.all),
      "coreSecondsOfLargest": .number(cost.most),
      "files": .array(
        share.files.map { file in
          .object([
            "name": .string(plan.layout.files[file].name.text),
            "from": .integer(share.bytes[file].lowerBound),
            "to": .integer(share.bytes[file].upperBound),
          ])
        }),
    ])
  }

  /// Files that are listed one by one.
  private static let mostFiles = 8

  /// The same for people, in a few lines.
  package var text: OutputText {
    let share = share
    let even = cost.all / Double(share.count)
    var text: OutputText =
      "part \(share.number) of \(share.count): \(Quantity.bytes(share.byteCount)) in "
      + "\(Quantity.plural(share.files.count, "file")), about "
      + "\(Quantity.fixed(cost.own, digits: 1)) s of one core"
    if even > 0 {
      text +=
        " (an even share: \(Quantity.fixed(even, digits: 1)) s, the largest: "
        + "\(Quantity.fixed(cost.most, digits: 1)) s)"
    }
    text += origin.map { "; its number is that of \($0)\n" } ?? "\n"
    for file in share.files.prefix(Self.mostFiles) {
      let whole = plan.layout.files[file]
      let range = share.bytes[file]
      text += "  \(whole.name)"
      text +=
        range.count == whole.byteCount
        ? "\n"
        : ": bytes \(Quantity.count(range.lowerBound)) to \(Quantity.count(range.upperBound))\n"
    }
    if share.files.count > Self.mostFiles {
      text += "  … \(share.files.count - Self.mostFiles) files more\n"
    }
    return text
  }
}
