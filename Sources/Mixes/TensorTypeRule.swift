internal import Codecs
internal import Patterns
package import Platform
package import Tensors

/// A type for the tensors whose names match a pattern.
package struct TensorTypeRule: Sendable, Hashable {
  /// How names are matched.
  package enum Pattern: Sendable, Hashable {
    /// A regular expression of `std::regex` that matches somewhere in the name, as in
    /// `--tensor-type`; `ECMAScriptParser` has the few differences.
    ///
    /// llama-quantize lowers the letters of A to Z in it first, not those of the name, and so does
    /// Fathom: `\D` is `\d`, and a name with capitals is not found.
    case search(String)
    /// A pattern for the whole name, as in a recipe file.
    case glob(String)
  }

  /// The names that it speaks of.
  package let pattern: Pattern
  /// Their type.
  package let type: ElementType
  /// The layers that it speaks of; nil for all tensors, in layers or not.
  package let layers: Set<Int>?

  /// Makes a rule.
  ///
  /// - Throws: `.usage` where the pattern is no regular expression.
  package init(_ pattern: Pattern, _ type: ElementType, layers: Set<Int>? = nil) throws(Fault) {
    self.pattern = pattern
    self.type = type
    self.layers = layers
    _ = try matcher()
  }

  /// Reads `PATTERN=TYPE` as `--tensor-type` does.
  ///
  /// - Throws: `.usage` where a part is absent, the pattern is no regular expression, or the type
  ///   is not one that Fathom writes to GGUF files.
  package init(parsing text: String) throws(Fault) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty else {
      throw Fault(.usage, "is no rule for types", expected: "PATTERN=TYPE", found: text)
    }
    try self.init(.search(String(parts[0])), TensorTypeRule.type(named: String(parts[1])))
  }

  /// The tensor type with llama.cpp's name, in any case.
  ///
  /// - Throws: `.usage` for a name that is none, or a type that Fathom does not write.
  package static func type(named name: String) throws(Fault) -> ElementType {
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
  package var text: String {
    switch pattern {
    case .search(let text), .glob(let text): text
    }
  }

  /// Tells whether a name is matched, and throws `.usage` for a pattern that takes too long.
  typealias Matcher = (ExactText) throws(Fault) -> Bool

  /// The rule in a form that is fast.
  func matcher() throws(Fault) -> Matcher {
    let matches = try textMatcher()
    guard let layers else { return matches }
    return { name throws(Fault) in
      guard TypeMix.layer(of: name).map(layers.contains) == true else { return false }
      return try matches(name)
    }
  }

  /// Whether it speaks of one of the names.
  func matches(anyOf names: [ExactText]) throws(Fault) -> Bool {
    let matches = try matcher()
    for name in names where try matches(name) { return true }
    return false
  }

  private func textMatcher() throws(Fault) -> Matcher {
    switch pattern {
    case .glob(let text):
      let glob = Glob(text)
      return { (name) throws(Fault) in glob.matches(name.text) }
    case .search(let text):
      let expression = try TensorTypeRule.expression(text)
      return { name throws(Fault) in
        var steps = TensorTypeRule.stepLimit
        do throws(Fault) {
          return try expression.matches(within: name.text, steps: &steps)
        } catch {
          throw Fault(
            .usage, "a regular expression takes too long on a name", tensor: name, found: text)
        }
      }
    }
  }

  /// Steps that the search in a name may take; one that is meant takes some hundred.
  private static let stepLimit = 1_000_000

  private static func expression(_ text: String) throws(Fault) -> RegularExpression {
    let lowered = text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    do throws(Fault) {
      return try RegularExpression(ecmaScript: String(decoding: lowered, as: UTF8.self))
    } catch {
      throw Fault(.usage, error.message, offset: error.offset, found: text)
    }
  }
}
