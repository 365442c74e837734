internal import Conversion
public import Formats
public import Platform

/// A model as its files store it, whatever its architecture.
public enum StoredModel {
  /// Opens a MODEL argument for what its files hold, under the names that they use themselves.
  ///
  /// - Throws: what opening the format throws; nothing is asked of the config.
  public static func inventory(path: String, threads: Int) throws(Fault) -> Inventory {
    try GGUFModel.isGGUF(path)
      ? GGUFFiles(path: path).inventory : Checkpoint(path: path, threads: threads).inventory
  }
}
