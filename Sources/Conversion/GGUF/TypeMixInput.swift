internal import Codecs
public import Platform
public import Tensors

extension TypeMix {
  /// A tensor whose type is to be chosen.
  public struct Tensor: Sendable, Hashable {
    /// Its name in GGUF.
    public let name: String
    /// Its extents in GGUF's order: the length of a row first.
    public let extents: [Int]
    /// The type that it has before.
    public let type: ElementType

    /// Makes a tensor; there is at least one extent.
    public init(name: String, extents: [Int], type: ElementType) {
      precondition(!extents.isEmpty)
      self.name = name
      self.extents = extents
      self.type = type
    }

    /// Columns.
    var rowLength: Int { extents[0] }

    /// Dimensions without those of extent 1 at the end, as ggml counts them.
    var dimensions: Int { (extents.lastIndex { $0 > 1 } ?? 0) + 1 }

    /// Whether it is a stack of matrices: experts, or the heads of `attn_k_b` and `attn_v_b`.
    var isStack: Bool { extents.count > 2 && extents[2] > 1 }
  }

  /// The counts in a model's metadata that the choice depends on.
  public struct Model: Sendable, Hashable {
    /// `block_count`, the layers with those of multi-token prediction.
    public let blockCount: Int
    /// `expert_count`; 0 where the model has no experts.
    public let expertCount: Int
    /// `attention.head_count`.
    public let headCount: Int
    /// `attention.head_count_kv`: 1 where the file has `attn_k_b` and `attn_v_b`.
    public let keyValueHeadCount: Int

    /// Makes a model.
    public init(blockCount: Int, expertCount: Int, headCount: Int, keyValueHeadCount: Int = 1) {
      self.blockCount = blockCount
      self.expertCount = expertCount
      self.headCount = headCount
      self.keyValueHeadCount = keyValueHeadCount
    }

    /// Query heads that share a key head.
    var headsPerKey: Int { keyValueHeadCount > 0 ? headCount / keyValueHeadCount : 0 }
  }

  /// What the user may ask for beside the file type; each is a flag of llama-quantize.
  public struct Options: Sendable {
    /// `--pure`: no mix, every tensor in the file type's own type.
    public var isPure = false
    /// `--tensor-type`, in order: the first that matches a name wins.
    public var rules: [TensorTypeRule] = []
    /// `--output-tensor-type`: the type of `output.weight`, before all rules.
    public var outputType: ElementType?
    /// `--token-embedding-type`: the type of `token_embd.weight`, before all rules.
    public var tokenEmbeddingType: ElementType?
    /// `--leave-output-tensor`: `output.weight` stays as it is.
    public var leavesOutput = false
    /// `--allow-requantize`: quantized tensors may be converted.
    public var allowsRequantizing = false
    /// `--keep-split`: tensors stay in the order that they have, which is the order of counting
    /// too, instead of the order of layers and names.
    public var keepsOrder = false

    /// Makes options that ask for nothing.
    public init() {}
  }
}

/// A type for the tensors whose names match a pattern.
public struct TensorTypeRule: Sendable {
  /// How names are matched.
  public enum Pattern: Sendable {
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

  /// Makes a rule.
  ///
  /// - Throws: `.usage` where the pattern is no regular expression.
  public init(_ pattern: Pattern, _ type: ElementType) throws(Fault) {
    self.pattern = pattern
    self.type = type
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

  var text: String {
    switch pattern {
    case .search(let text), .glob(let text): text
    }
  }

  /// A compiled pattern cannot be shared between threads, so each mix compiles its own.
  func matcher() throws(Fault) -> (String) -> Bool {
    switch pattern {
    case .glob(let text):
      let glob = Glob(text)
      return { glob.matches($0) }
    case .search(let text):
      do {
        let regex = try Regex(text.lowercased()).matchingSemantics(.unicodeScalar)
        return { $0.firstMatch(of: regex) != nil }
      } catch {
        throw Fault(.usage, "is no regular expression", found: text)
      }
    }
  }
}
