internal import Codecs
public import Platform
public import Tensors

/// A type for the tensors whose names match a pattern.
public struct TensorTypeRule: Sendable, Hashable {
  /// How names are matched.
  public enum Pattern: Sendable, Hashable {
    /// A regular expression that matches somewhere in the name, as in `--tensor-type`.
    ///
    /// llama-quantize lowers its letters first, and so does Fathom.
    case search(String)
    /// A pattern for the whole name, as in a recipe file.
    case glob(String)
  }

  /// The names that it speaks of.
  public let pattern: Pattern
  /// Their type.
  public let type: ElementType
  /// The layers that it speaks of; nil for all tensors, in layers or not.
  public let layers: Set<Int>?

  /// Makes a rule.
  ///
  /// - Throws: `.usage` where the pattern is no regular expression.
  public init(_ pattern: Pattern, _ type: ElementType, layers: Set<Int>? = nil) throws(Fault) {
    self.pattern = pattern
    self.type = type
    self.layers = layers
    _ = try matcher()
  }

  /// Reads `PATTERN=TYPE` as `--tensor-type` does.
  ///
  /// - Throws: `.usage` where a part is absent, the pattern is no regular expression, or the type
  ///   is not one that Fathom writes to GGUF files.
  public init(parsing text: String) throws(Fault) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty else {
      throw Fault(.usage, "is no rule for types", expected: "PATTERN=TYPE", found: text)
    }
    try self.init(.search(String(parts[0])), TensorTypeRule.type(named: String(parts[1])))
  }

  /// The tensor type with llama.cpp's name, in any case.
  ///
  /// - Throws: `.usage` for a name that is none, or a type that Fathom does not write.
  public static func type(named name: String) throws(Fault) -> ElementType {
    let type = ElementType(rawValue: name.uppercased())
    guard let type, isWritable(type) else {
      let message =
        type?.ggmlID == nil ? "there is no such GGUF type" : "this type is read, not written"
      throw Fault(
        .usage, message,
        expected: ElementType.allCases.filter(isWritable).map { $0.rawValue.lowercased() }
          .joined(separator: ", "),
        found: name)
    }
    return type
  }

  private static func isWritable(_ type: ElementType) -> Bool {
    let isFloat = [ElementType.f32, .f16, .bf16].contains(type)
    return isFloat || type.isBlock && Codec.codec(for: type)?.isWritable == true
  }

  /// The pattern as it was written.
  public var text: String {
    switch pattern {
    case .search(let text), .glob(let text): text
    }
  }

  /// A compiled pattern cannot be shared between threads, so each mix compiles its own.
  package func matcher() throws(Fault) -> (ExactText) -> Bool {
    let matches = try textMatcher()
    guard let layers else { return matches }
    return { name in TypeMix.layer(of: name).map(layers.contains) == true && matches(name) }
  }

  private func textMatcher() throws(Fault) -> (ExactText) -> Bool {
    switch pattern {
    case .glob(let text):
      let glob = Glob(text)
      return { glob.matches($0.text) }
    case .search(let text):
      do {
        let regex = try Regex(text.lowercased()).matchingSemantics(.unicodeScalar)
        return { $0.text.firstMatch(of: regex) != nil }
      } catch {
        throw Fault(.usage, "is no regular expression", found: text)
      }
    }
  }
}
