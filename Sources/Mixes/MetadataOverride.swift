internal import Formats
package import Platform
package import Tensors

/// A value that the user puts in the place of the source's, as `--override-kv` of llama-quantize.
package struct MetadataOverride: Sendable, Hashable {
  /// What the user wrote.
  package let text: String
  /// The key.
  package let key: String
  /// Its value: uint32, float32, bool or string, because llama-quantize writes no others.
  package let value: MetadataValue

  /// Reads `KEY=TYPE:VALUE`, where the type is `int`, `float`, `bool` or `str`.
  ///
  /// llama-quantize drops the sign of integers and what follows a number; here a sign is dropped
  /// too, while a value that is no number is refused.
  ///
  /// - Throws: `.usage` for anything else, and for keys that the writer decides: how the file is
  ///   laid out and split, and what it says of its making.
  package init(parsing text: String) throws(Fault) {
    self.text = text
    func fault(_ expected: String) -> Fault {
      Fault(.usage, "is no override of metadata", expected: expected, found: text)
    }
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, (1...127).contains(parts[0].utf8.count) else {
      throw fault("KEY=TYPE:VALUE, a key of 127 bytes at the most")
    }
    guard !MetadataOverride.isComputed(String(parts[0])) else {
      throw fault("another key: this one is computed, and readers rely on it")
    }
    let words = parts[1].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard words.count == 2 else { throw fault("KEY=TYPE:VALUE") }
    key = String(parts[0])
    switch words[0] {
    case "int":
      guard let number = Int64(words[1]), let value = UInt32(exactly: number.magnitude) else {
        throw fault("an integer of 32 bits")
      }
      self.value = .uint32(value)
    case "float":
      guard let number = Double(words[1]), number.isFinite else { throw fault("a number") }
      value = .float32(Float(number))
    case "bool":
      guard let flag = Bool(String(words[1])) else { throw fault("true or false") }
      value = .bool(flag)
    case "str":
      guard words[1].utf8.count <= 127 else { throw fault("a text of 127 bytes at the most") }
      value = .string(String(words[1]))
    default: throw fault("int, float, bool or str before the value")
    }
  }
}

extension MetadataOverride {
  /// Whether the writer computes a key: a file that says something else of it cannot be read, or
  /// lies about its making.
  private static func isComputed(_ key: String) -> Bool {
    ["general.alignment", "general.architecture"].contains(key)
      || ["split.", Provenance.prefix].contains { key.utf8.starts(with: $0.utf8) }
  }
}

extension Metadata {
  /// Sets the values that the user wants, each behind all other keys.
  package mutating func override(_ overrides: [MetadataOverride]) {
    for override in overrides { setLast(override.key, override.value) }
  }

  /// Sets what llama-quantize sets, in its order and behind all other keys: the version of the
  /// block types, the file type, overrides, and `ImportanceMatrix.notes`.
  package mutating func noteQuantization(
    as fileType: UInt32, overrides: [MetadataOverride] = [], importance: Metadata = Metadata()
  ) {
    setLast("general.quantization_version", .uint32(2))
    setLast("general.file_type", .uint32(fileType))
    override(overrides)
    for key in importance.keys {
      if let value = importance[key] { setLast(key, value) }
    }
  }
}
