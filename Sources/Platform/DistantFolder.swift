internal import Locks
internal import Synchronization

/// A folder that lies elsewhere, as a model's repository on a server does. Its files are read where a
/// folder of this machine's would be; nothing is ever written to it.
package protocol DistantFolder: Sendable {
  /// The folder's own name.
  var name: ExactText { get }

  /// Its address with what pins its contents, so that it leads to the same ones later.
  ///
  /// - Throws: what asking for it throws.
  func pinnedAddress() throws(Fault) -> String

  /// What lies below it at a place, `a/b` without a slash at either end; empty for the folder itself.
  ///
  /// - Returns: nil where nothing does.
  /// - Throws: `.notFound` where the folder itself is not there, `.inputOutput` where nobody answers.
  func kind(of place: ExactText) throws(Fault) -> Folder.Kind?

  /// Names in a folder below it, in the order of their bytes.
  ///
  /// - Throws: as `kind`.
  func names(in place: ExactText) throws(Fault) -> [ExactText]

  /// Opens a file below it.
  ///
  /// - Parameter path: its name in messages.
  /// - Returns: nil where there is none.
  /// - Throws: as `kind`.
  func open(_ place: ExactText, shownAs path: String) throws(Fault) -> InputFile?
}

/// The folders that lie elsewhere, and the paths by which this run reads them.
///
/// Whoever opens a folder or a file by its path asks here first, so that no room above knows where a
/// model lies.
package enum DistantPlaces {
  private static let mounts = Guarded<[(path: ExactText, folder: any DistantFolder)]>([])
  /// Most runs have none and ask nobody.
  private static let isUsed = Atomic<Bool>(false)

  /// Reads a folder where paths begin with `path`.
  package static func mount(_ folder: any DistantFolder, at path: String) {
    mounts.withLock { $0.append((ExactText(path), folder)) }
    isUsed.store(true, ordering: .releasing)
  }

  /// Whether a path is an address, which leads nowhere on this machine whether it is read or not.
  package static func isAddress(_ path: String) -> Bool {
    let parts = ExactText(path).split(separator: ":", maxSplits: 1)
    return parts.count == 2 && parts[1].hasPrefix("//") && !parts[0].contains("/")
  }

  /// Where a path leads; nil where it is one of this machine's.
  static func find(_ path: String) -> Found? {
    guard isUsed.load(ordering: .acquiring) else { return nil }
    var text = ExactText(path)
    while text.utf8.count > 1, text.hasSuffix("/") { text = text.without(suffix: "/") ?? text }
    return mounts.withLock { mounts in
      for (place, folder) in mounts {
        if text == place { return Found(folder: folder, place: "", path: text.text) }
        if let rest = text.without(prefix: place + "/") {
          return Found(folder: folder, place: rest, path: text.text)
        }
      }
      return nil
    }
  }

  /// A place below a folder that lies elsewhere.
  struct Found: Sendable {
    let folder: any DistantFolder
    /// Below the folder.
    let place: ExactText
    /// As messages name it.
    let path: String

    /// The place of a name below it.
    func place(of name: ExactText) -> ExactText { place.isEmpty ? name : place + "/" + name }

    /// Opens it as a file.
    func file() throws(Fault) -> InputFile {
      guard let file = try folder.open(place, shownAs: path) else {
        let isFolder = try folder.kind(of: place) == .folder
        throw isFolder
          ? InputFile.noFileFault(.folder, path: path)
          : Fault(.notFound, "no such file", file: path)
      }
      return file
    }

    /// What lies in it.
    func listing() throws(Fault) -> Folder.Listing {
      var listing = Folder.Listing()
      listing.names = try folder.names(in: place)
      return listing
    }

    /// Opens a file in it, as an entry of a folder.
    func entry(_ name: ExactText) throws(Fault) -> InputFolder.Entry? {
      let inner = place(of: name)
      if let file = try folder.open(inner, shownAs: Folder.join(path, name)) { return .file(file) }
      return try folder.kind(of: inner) == .folder ? .folder : nil
    }
  }
}
