package import Platform

extension DistantPlaces {
  /// The address of a model that lies elsewhere, with the revision that this run sees: runs that divide
  /// work on it must all see one. nil for a model of this machine, whose files tell it by their times.
  package static func revision(of path: String) -> String? {
    let address = Folder.resolved(path)
    return isAddress(address) ? address : nil
  }

  /// What to do where two runs see different revisions.
  package static let revisionAdvice =
    "what its server calls the newest has changed: name one revision in all runs"
}

extension Fault {
  /// Says what to do behind what is said of that already.
  mutating func advise(_ more: String) {
    advice = [advice, more].compactMap(\.self).joined(separator: "; ")
  }
}
