extension Folder {
  /// The path without links and dots; the path itself where nothing is there.
  public static func resolved(_ path: String) -> String { OutputPath.resolve(path) ?? path }

  /// The folder that really holds the file `path`, links followed; nil where nothing is there.
  public static func holder(of path: String) -> String? {
    OutputPath.resolve(path).map(parent(of:))
  }

  /// Folders in which the files of `folder` may really lie: itself, and `blobs` of the Hugging Face
  /// cache where `folder` is `…/snapshots/<revision>` in it.
  public static func holders(of folder: String) throws(Fault) -> Set<String> {
    guard let resolved = OutputPath.resolve(folder) else {
      throw Fault(.notFound, "no such file or folder", file: folder)
    }
    let snapshots = parent(of: resolved)
    guard name(of: snapshots) == "snapshots" else { return [resolved] }
    return [resolved, join(parent(of: snapshots), "blobs")]
  }
}
