extension Folder {
  /// The path without links and dots; the path itself where nothing is there. What lies elsewhere has
  /// its address, with what pins its contents.
  package static func resolved(_ path: String) -> String {
    guard let distant = DistantPlaces.find(path) else { return OutputPath.resolve(path) ?? path }
    guard let address = try? distant.folder.pinnedAddress() else { return path }
    return distant.place.isEmpty ? address : join(address, distant.place)
  }

  /// What a folder is called, whatever path leads to it.
  package static func ownName(of path: String) -> ExactText {
    guard let distant = DistantPlaces.find(path) else { return name(of: resolved(path)) }
    return distant.place.isEmpty ? distant.folder.name : name(of: distant.place.text)
  }
}
