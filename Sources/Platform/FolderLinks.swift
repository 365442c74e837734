extension Folder {
  /// The path without links and dots; the path itself where nothing is there.
  public static func resolved(_ path: String) -> String { OutputPath.resolve(path) ?? path }
}
