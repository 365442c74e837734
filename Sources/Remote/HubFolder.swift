internal import Locks
internal import Platform

/// A model's repository on the hub, at the commit that its revision names when it is first looked at:
/// what happens to the branch later is of no concern to this run.
///
/// Files that the hub's programs have in their cache, of the same commit, are read there.
final class HubFolder: ListedFolder {
  let model: HubName
  private let settings: HubSettings
  private let snapshot = Answer<HubListing>()
  private let opened = Guarded<[ExactText: RemoteFile]>([:])
  private let beginnings = Beginnings()

  /// Largest list of a repository's files.
  private static let listLimit = 32 << 20

  init(_ model: HubName, _ settings: HubSettings) {
    self.model = model
    self.settings = settings
  }

  var name: ExactText { Folder.name(of: model.repository.text) }

  func pinnedAddress() throws(Fault) -> String {
    "\(HubName.scheme)\(model.repository)@\(try listed().commit)"
  }

  /// Asks the hub, once.
  func listed() throws(Fault) -> HubListing {
    try snapshot.value(ask)
  }

  private func ask() throws(Fault) -> HubListing {
    let name = Address.escaped(model.repository, keepingSlashes: true)
    let revision = Address.escaped(model.revision ?? "main", keepingSlashes: false)
    let address = try Address(
      "\(settings.endpoint.text.trimmed)/api/models/\(name)/revision/\(revision)?blobs=true")
    let receiver = DocumentReceiver(limit: HubFolder.listLimit, path: model.model)
    try Courier(
      address, path: model.model, fields: settings.fields(for: address),
      key: settings.key(for: address)
    )
    .fetch(into: receiver)
    return try HubListing(receiver.bytes, path: model.model)
  }

  func fileNames() throws(Fault) -> [ExactText] { try listed().files.map(\.name) }

  func open(_ place: ExactText, shownAs path: String) throws(Fault) -> InputFile? {
    let snapshot = try listed()
    guard let listed = snapshot.files.first(where: { $0.name == place }) else { return nil }
    let tag = HubListing.tag(listed.hash, place, at: snapshot.commit)
    if let size = listed.size, let file = cached(place, at: snapshot.commit), file.size == size {
      return InputFile(
        distant: CachedFile(file: file, sha256: HubListing.digest(listed.hash)), path: file.path,
        size: size, tag: tag)
    }
    let file = try remote(listed, at: snapshot.commit, shownAs: path)
    return InputFile(distant: file, path: path, size: file.size, tag: tag)
  }

  /// A file at the commit, whose size is known.
  private func remote(
    _ listed: HubListing.File, at commit: String, shownAs path: String
  ) throws(Fault) -> RemoteFile {
    if let file = opened.withLock({ $0[listed.name] }) { return file }
    let name = Address.escaped(model.repository, keepingSlashes: true)
    let place = Address.escaped(listed.name, keepingSlashes: true)
    let address = try Address(
      "\(settings.endpoint.text.trimmed)/\(name)/resolve/\(commit)/\(place)")
    let facts = PinnedContents.Facts(commit: commit, hash: listed.hash, size: listed.size)
    let file = RemoteFile(
      Courier(
        address, path: path, fields: settings.fields(for: address), key: settings.key(for: address)),
      PinnedContents(path, facts), beginnings: beginnings)
    if listed.size == nil { _ = try file.learn() }
    return opened.withLock { opened in
      if let other = opened[listed.name] { return other }
      opened[listed.name] = file
      return file
    }
  }

  /// A file of this commit in the cache of the hub's programs; nil where it is not there.
  private func cached(_ place: ExactText, at commit: String) -> InputFile? {
    let folder = Folder.join(
      HubCacheFolder.path(of: model.repository, in: settings.cache), "snapshots")
    let snapshot = Folder.join(folder, ExactText(commit))
    let path = Folder.join(snapshot, place)
    guard (try? Folder.kind(of: path)) == .file,
      let file = try? InputFolder(path: Folder.parent(of: path)).find(Folder.name(of: path))
    else { return nil }
    return file
  }
}

extension String {
  /// The text without a slash at its end.
  var trimmed: String { utf8.last == UInt8(ascii: "/") ? String(dropLast()) : self }
}
