internal import Glibc

/// Files that appear under their names together, complete or not at all.
public protocol OutputSet: AnyObject {
  /// Creates a file of the set.
  func create(_ name: String) throws(Fault) -> OutputFile

  /// Gives everything its name; all files have been finished.
  ///
  /// - Returns: what was replaced, where it could not be removed afterwards.
  func commit() throws(Fault) -> String?

  /// Removes everything; does nothing after `commit`.
  func discard()
}

extension OutputFolder: OutputSet {}

/// Files that lie beside each other without a folder of their own.
///
/// They are written under hidden names. Renaming several files is no single step, so a crash
/// between two renames leaves some of them; a failure takes those away again that are new.
public final class OutputFiles: OutputSet {
  private let places: [String: OutputPath]
  private var files: [AtomicFile] = []

  /// Checks every place before any work is done.
  ///
  /// - Parameters:
  ///   - destination: the name that the user gave; one of `names`, or what they are made from.
  ///   - names: the files of the set.
  /// - Throws: `.cannotCreate` where a name is taken that may not be replaced.
  public init(at destination: OutputPath, names: [String]) throws(Fault) {
    var places: [String: OutputPath] = [:]
    for name in names {
      let path = Folder.join(Folder.parent(of: destination.path), name)
      places[name] =
        path == destination.path
        ? destination : try OutputPath(path, overwrite: destination.mayReplace)
      guard places[name]?.replaced != .folder else {
        throw Fault(.cannotCreate, "is a folder", file: path, expected: "a file to replace")
      }
    }
    self.places = places
  }

  deinit { discard() }

  /// Creates a file under a hidden name.
  public func create(_ name: String) throws(Fault) -> OutputFile {
    guard let place = places[name] else { preconditionFailure("\(name) was not announced") }
    let file = try AtomicFile(at: place)
    files.append(file)
    return file.file
  }

  /// Gives the files their names, one after the other.
  public func commit() throws(Fault) -> String? {
    var done: [OutputPath] = []
    do throws(Fault) {
      for file in files {
        try file.commit()
        done.append(file.destination)
      }
    } catch {
      for place in done where place.replaced == nil { unlink(place.path) }
      throw error
    }
    files = []
    return nil
  }

  /// Removes what has no name yet.
  public func discard() {
    for file in files { file.discard() }
    files = []
  }
}
