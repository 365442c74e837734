import Foundation

/// The sanitizer that `scripts/sanitize` has built the tests with.
public enum Sanitizer {
  /// `address` or `thread`; nil in an ordinary run.
  public static let name = ProcessInfo.processInfo.environment["FATHOM_SANITIZER"]

  /// How many times as long things may take.
  public static let slowness: Double = name == nil ? 1 : 20

  /// Whether what a process takes of memory is what the program asks for: sanitizers keep notes
  /// beside it, and what was freed.
  public static let keepsMemory = name == nil
}
