internal import Platform

/// A folder of a server that lists all files below it at once.
protocol ListedFolder: DistantFolder {
  /// Names of the files, folders before them, in the order of their bytes.
  func fileNames() throws(Fault) -> [ExactText]
}

extension ListedFolder {
  func kind(of place: ExactText) throws(Fault) -> Folder.Kind? {
    let names = try fileNames()
    if place.isEmpty { return .folder }
    if names.contains(place) { return .file }
    return names.contains { $0.hasPrefix(place + "/") } ? .folder : nil
  }

  func names(in place: ExactText) throws(Fault) -> [ExactText] {
    let prefix = place.isEmpty ? place : place + "/"
    let names = try fileNames().compactMap { name in
      name.without(prefix: prefix)?.split(separator: "/", maxSplits: 1)[0]
    }
    return Set(names).sorted()
  }
}
