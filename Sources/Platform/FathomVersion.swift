/// The program's own version.
public enum FathomVersion {
  /// As `fathom --version` prints it and outputs name it.
  public static let text = "0.1.0"
}
