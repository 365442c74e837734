package import Formats
package import Platform
internal import Reports

/// What `fathom imatrix` says of the file that it wrote.
package struct ImatrixReport: Sendable {
  /// A stack of experts some of which few tokens have reached.
  package struct Stack: Sendable, Hashable {
    /// The tensor.
    package let name: ExactText
    /// Matrices of it.
    package let experts: Int
    /// Those that no token has reached.
    package let unreached: [Int]
    /// Those that some have, and fewer than `ImatrixReport.few`.
    package let scarce: [Int]
  }

  /// Tokens below which an expert's numbers say little: the columns of a small block.
  package static let few = 32

  /// The file.
  package let output: String
  /// Tokens that were run.
  package let tokens: Int
  /// What the file says of all texts.
  package let source: ImportanceOutput.Source
  /// Tensors that it speaks of.
  package let entries: Int
  /// Files that were added.
  package let merged: [String]
  /// Bytes of the file.
  package let bytes: Int
  /// Stacks that have experts with few tokens or none, in the order of layers.
  package private(set) var stacks: [Stack] = []
  /// Tensors that nothing was measured for.
  package private(set) var empty: [ExactText] = []

  init(
    output: String, tokens: Int, source: ImportanceOutput.Source, entries: Int, merged: [String],
    bytes: Int
  ) {
    (self.output, self.tokens, self.source) = (output, tokens, source)
    (self.entries, self.merged, self.bytes) = (entries, merged, bytes)
  }

  mutating func note(_ measured: MeasuredImportance) {
    let tokens = measured.tokens
    if tokens.allSatisfy({ $0 == 0 }) { return empty.append(measured.entry.name) }
    guard measured.entry.parts > 1 else { return }
    let stack = Stack(
      name: measured.entry.name, experts: tokens.count,
      unreached: tokens.indices.filter { tokens[$0] == 0 },
      scarce: tokens.indices.filter { (1..<ImatrixReport.few).contains(tokens[$0]) })
    if !stack.unreached.isEmpty || !stack.scarce.isEmpty { stacks.append(stack) }
  }

  /// The report for people.
  package var text: OutputText {
    var lines: [OutputText] = []
    // The three matrices of an expert are reached by the same tokens.
    for stack in stacks where stack.name.hasSuffix(".ffn_down_exps.weight") {
      let layer = stack.name.without(suffix: ".ffn_down_exps.weight") ?? stack.name
      for (experts, what) in [
        (stack.unreached, "no token: all their columns will weigh the same"),
        (stack.scarce, "fewer than \(ImatrixReport.few) tokens"),
      ] where !experts.isEmpty {
        lines.append(
          "note: \(layer): \(experts.count) of \(stack.experts) experts saw \(what) "
            + "(\(ImatrixReport.list(experts)))")
      }
    }
    for name in empty {
      lines.append("note: \(name) was not measured: it weighs the same everywhere")
    }
    if !merged.isEmpty { lines.append("merged \(merged.joined(separator: ", "))") }
    let measured = tokens > 0 ? ", \(Quantity.plural(tokens, "token")) measured" : ""
    lines.append(
      "output \(output): \(Quantity.plural(entries, "tensor")), "
        + "\(Quantity.plural(source.chunks, "chunk")) of \(source.chunkSize) tokens in all\(measured), "
        + "\(Quantity.bytes(bytes))")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func list(_ experts: [Int]) -> String {
    let shown = experts.prefix(8).map(String.init).joined(separator: ", ")
    return experts.count > 8 ? shown + ", …" : shown
  }

  /// The document of schema `fathom.imatrix/1`.
  ///
  /// - Parameter notes: what a reader should know of the model and of what was left out.
  package func json(notes: [String]) -> JSONValue {
    .object([
      "schema": .string("fathom.imatrix/1"), "output": .string(output),
      "tokens": .integer(tokens), "chunks": .integer(source.chunks),
      "chunkSize": .integer(source.chunkSize),
      "datasets": .array(source.datasets.map { .string($0) }),
      "merged": .array(merged.map { .string($0) }), "tensors": .integer(entries),
      "bytes": .integer(bytes), "empty": .array(empty.map { .string($0.text) }),
      "stacks": .array(
        stacks.map {
          .object([
            "name": .string($0.name.text), "experts": .integer($0.experts),
            "unreached": .array($0.unreached.map { .integer($0) }),
            "scarce": .array($0.scarce.map { .integer($0) }),
          ])
        }),
      "notes": .array(notes.map { .string($0) }),
    ])
  }
}
