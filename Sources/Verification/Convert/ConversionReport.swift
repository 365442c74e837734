public import Conversion
public import Platform

extension ConversionResult {
  /// The document of schema `fathom.convert/1`.
  public func json(of plan: Plan) -> JSONValue {
    .object([
      "schema": .string("fathom.convert/1"), "output": .string(output),
      "files": .array(
        plan.files.map {
          .object([
            "name": .string($0.name), "bytes": .integer($0.byteCount),
            "kind": .string($0.kind.rawValue),
          ])
        }),
      "tensors": .integer(plan.tensors.count), "bytesRead": .integer(bytesRead),
      "bytesWritten": .integer(bytesWritten), "bytesKept": .integer(bytesKept),
      "resumed": .bool(isResumed), "sourceFilesDeleted": .integer(deletedSourceFiles),
      "seconds": .number(seconds),
      "manifestHash": manifestHash.map { .string($0.text) } ?? .null,
      "warnings": .array(warnings.map { .string($0) }),
      "lost": .array(plan.lost.map { .string($0) }),
    ])
  }

  /// The result in a few lines.
  public func text(of plan: Plan) -> String {
    if isResumed, bytesWritten == 0 {
      return "\(output.printable): complete, \(Quantity.bytes(bytesKept)) written before\n"
        + manifestLine
    }
    let rate = Int(Double(bytesWritten) / max(seconds, 0.001))
    let before = isResumed ? ", \(Quantity.bytes(bytesKept)) before" : ""
    let deleted =
      deletedSourceFiles > 0
      ? "; \(Quantity.plural(deletedSourceFiles, "source file")) deleted" : ""
    return """
      \(output.printable): \(Quantity.plural(plan.tensors.count, "tensor")) in \
      \(Quantity.plural(plan.files.count, "file")), \(Quantity.bytes(bytesWritten)) written in \
      \(Quantity.fixed(seconds, digits: 2)) s (\(Quantity.bytes(rate))/s)\(before)\(deleted)
      \(manifestLine)
      """
  }

  /// The hash by which the manifest can be told from one that was made anew.
  private var manifestLine: String { manifestHash.map { "manifest: \($0.text)\n" } ?? "" }
}
