package import Platform
internal import Synchronization

/// What all files of one model may have of something together.
///
/// A limit for each file is none for a model: whoever may have ten thousand files may have ten
/// thousand times what one may. Those that read the files of a model take from the same budget.
package final class Budget: Sendable {
  /// What there may be of it.
  package let limit: Int
  private let what: String
  private let used = Atomic(0)

  /// - Parameter what: what is counted, as messages name it: `tensors`.
  package init(_ what: String, limit: Int) {
    self.what = what
    self.limit = limit
  }

  /// Takes some of it.
  ///
  /// - Parameter file: what needs it, for messages.
  /// - Throws: `.malformed` where more is taken than there is.
  package func take(_ count: Int, for file: String) throws(Fault) {
    precondition(count >= 0)
    guard count <= limit, used.wrappingAdd(count, ordering: .relaxed).newValue <= limit else {
      throw Fault(
        .malformed, "has too many \(what), counted with those of the model's other files",
        file: file, expected: "at most \(limit) in all")
    }
  }
}
