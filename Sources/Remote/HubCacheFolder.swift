internal import Platform

/// A model in the cache of the hub's programs, where no server is to be asked.
final class HubCacheFolder: DistantFolder {
  let name: ExactText
  private let address: String
  private let snapshot: String
  private let commit: String

  /// The folder of a model in a cache.
  static func path(of repository: ExactText, in cache: String) -> String {
    Folder.join(cache, "models--" + repository.replacing("/", with: "--"))
  }

  /// Finds the snapshot of a revision.
  ///
  /// - Throws: `.notFound` where the cache does not have it.
  init(_ model: HubName, _ settings: HubSettings) throws(Fault) {
    let folder = HubCacheFolder.path(of: model.repository, in: settings.cache)
    let revision = model.revision ?? "main"
    func missing(_ place: String) -> Fault {
      var fault = Fault(
        .notFound, "is not in the cache of the hub's programs", file: model.model,
        expected: place)
      fault.advice =
        "take HF_HUB_OFFLINE away to ask the hub, or name another cache in HF_HUB_CACHE"
      return fault
    }
    var commit = revision
    let reference = Folder.join(Folder.join(folder, "refs"), revision)
    if try Folder.kind(of: reference) == .file {
      let bytes = try InputFolder(path: Folder.parent(of: reference)).contents(
        of: Folder.name(of: reference), limit: 1024)
      let words = String(decoding: bytes ?? [], as: UTF8.self).split { $0.isWhitespace }
      commit = ExactText(words.first.map(String.init) ?? "")
    }
    snapshot = Folder.join(Folder.join(folder, "snapshots"), commit)
    guard Folder.isPlain(commit), try Folder.kind(of: snapshot) == .folder else {
      throw missing(Folder.isPlain(commit) ? snapshot : reference)
    }
    name = Folder.name(of: model.repository.text)
    self.commit = commit.text
    address = "\(HubName.scheme)\(model.repository)@\(commit)"
  }

  func pinnedAddress() throws(Fault) -> String { address }

  private func path(_ place: ExactText) -> String {
    place.isEmpty ? snapshot : Folder.join(snapshot, place)
  }

  func kind(of place: ExactText) throws(Fault) -> Folder.Kind? {
    try Folder.kind(of: path(place))
  }

  func names(in place: ExactText) throws(Fault) -> [ExactText] {
    try Folder.listing(of: path(place)).names
  }

  func open(_ place: ExactText, shownAs path: String) throws(Fault) -> InputFile? {
    let own = self.path(place)
    guard try Folder.kind(of: own) == .file,
      let file = try InputFolder(path: Folder.parent(of: own)).find(Folder.name(of: own))
    else { return nil }
    // A snapshot has links to blobs, which are called by their hashes.
    let hash = HubListing.digest(Folder.name(of: Folder.resolved(own)).text)
    return InputFile(
      distant: CachedFile(file: file, sha256: hash), path: file.path, size: file.size,
      tag: HubListing.tag(hash, place, at: commit))
  }
}
