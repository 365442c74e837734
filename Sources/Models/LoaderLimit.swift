/// Something that a model may be and a loader computes otherwise, cannot be told, or refuses: a row of
/// the table of that loader.
package struct LoaderLimit: Sendable {
  private let text: @Sendable (ModelConfig) -> String?

  /// Names a limit.
  ///
  /// - Parameter text: a line about it; nil where it makes no difference.
  package init(_ text: @escaping @Sendable (ModelConfig) -> String?) { self.text = text }

  /// The lines of a table about a model.
  package static func lines(_ limits: [LoaderLimit], for config: ModelConfig) -> [String] {
    limits.compactMap { $0.text(config) }
  }
}
