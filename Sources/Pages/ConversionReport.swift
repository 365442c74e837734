package import Conversion
internal import Dialects
package import Platform
internal import Reports

extension ConversionResult {
  /// The document of schema `fathom.convert/1`.
  ///
  /// - Parameter part: what it says of the part that was written; nil for a whole output.
  package func json(of plan: Plan, part: ShareReport? = nil) -> JSONValue {
    var object: JSONObject = [
      "schema": .string("fathom.convert/1"), "output": .string(output),
      "files": .array(
        plan.files.map {
          .object([
            "name": .string($0.name.text), "bytes": .integer($0.byteCount),
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
    ]
    if let part { object["part"] = part.json }
    if let bytesCompared {
      object["compared"] = .object([
        "bytes": .integer(bytesCompared), "of": .integer(comparableBytes(of: plan)),
      ])
    }
    return .object(object)
  }

  /// Bytes of all files but the manifest, whose contents only reading everything tells.
  private func comparableBytes(of plan: Plan) -> Int {
    plan.files.filter { $0.kind != .manifest }.reduce(0) { $0 + $1.byteCount }
  }

  /// What is said of an output that was there already: what was compared, and what was not.
  private func text(of plan: Plan, compared: Int) -> OutputText {
    let total = comparableBytes(of: plan)
    let manifest = plan.files.first { $0.kind == .manifest }?.name
    var text: OutputText = "\(output): is there already. "
    if compared == total {
      text += "Complete: all \(Quantity.bytes(total))"
      if let manifest { text += " but \(manifest), of which the size is right," }
      return text + " were compared with what this command writes, and are the same\n"
        + manifestLine
    }
    text +=
      "Files, sizes, headers and small files are what this command writes, and so is a sample: "
      + "\(Quantity.bytes(compared)) of \(Quantity.bytes(total)) were compared. The rest was not read: "
    text +=
      manifest == nil
      ? "fathom validate --deep looks at it" : "fathom validate --manifest reads all of it"
    return text + "\n" + manifestLine
  }

  /// The result in a few lines.
  ///
  /// - Parameter part: what is said of the part that was written; nil for a whole output.
  package func text(of plan: Plan, part: ShareReport? = nil) -> OutputText {
    if let bytesCompared { return text(of: plan, compared: bytesCompared) }
    if let part {
      let kept: OutputText = isResumed ? ", \(Quantity.bytes(bytesKept)) before" : ""
      return part.text
        + "\(Quantity.bytes(bytesWritten)) written in \(Quantity.fixed(seconds, digits: 2)) s"
        + kept + "; when all parts are written, --finish makes \(output) of them\n"
    }
    let rate = Int(Double(bytesWritten) / max(seconds, 0.001))
    let before: OutputText = isResumed ? ", \(Quantity.bytes(bytesKept)) before" : ""
    let deleted: OutputText =
      deletedSourceFiles > 0
      ? "; \(Quantity.plural(deletedSourceFiles, "source file")) deleted" : ""
    return """
      output \(output): \(Quantity.plural(plan.tensors.count, "tensor")) in \
      \(Quantity.plural(plan.files.count, "file")), \(Quantity.bytes(bytesWritten)) written in \
      \(Quantity.fixed(seconds, digits: 2)) s (\(Quantity.bytes(rate))/s)\(before)\(deleted)
      \(manifestLine)
      """
  }

  /// The hash by which the manifest can be told from one that was made anew.
  private var manifestLine: OutputText { manifestHash.map { "manifest: \($0.text)\n" } ?? "" }
}
