import Foundation

/// The sanitizer that `scripts/sanitize` has built the tests with.
package enum Sanitizer {
  /// `address` or `thread`; nil in an ordinary run.
  package static let name = ProcessInfo.processInfo.environment["FATHOM_SANITIZER"]

  /// How many times as long things may take.
  package static let slowness: Double = name == nil ? 1 : 20

  /// Whether what a process takes of memory is what the program asks for: sanitizers keep notes
  /// beside it, and what was freed.
  package static let keepsMemory = name == nil
}
