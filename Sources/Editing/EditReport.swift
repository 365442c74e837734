internal import Formats
package import Platform
internal import Tensors

/// What `fathom edit` says of its work.
package struct EditReport: Sendable {
  private let edit: MetadataEdit
  private let output: String
  private let way: MetadataEdit.Way
  private let isDryRun: Bool

  /// Tells of an edit.
  ///
  /// - Parameters:
  ///   - output: where the result is.
  ///   - way: how it came there.
  package init(_ edit: MetadataEdit, output: String, way: MetadataEdit.Way, isDryRun: Bool) {
    self.edit = edit
    self.output = output
    self.way = way
    self.isDryRun = isDryRun
  }

  /// The document of schema `fathom.edit/1`.
  package var json: JSONValue {
    .object([
      "schema": .string("fathom.edit/1"), "file": .string(edit.path),
      "format": .string(edit.format),
      "output": .string(output), "way": .string(way.rawValue), "dryRun": .bool(isDryRun),
      "headerBytes": .object([
        "before": .integer(edit.headerBytes.before), "after": .integer(edit.headerBytes.after),
      ]),
      "movedBytes": .integer(way == .newFile ? edit.tensorBytes : 0),
      "changes": .array(
        edit.changes.map { change in
          .object([
            "key": .string(change.key), "before": EditReport.json(change.before),
            "after": EditReport.json(change.after),
          ])
        }),
      "forced": .array(edit.forced.map { .string($0) }),
    ])
  }

  private static func json(_ value: MetadataValue?) -> JSONValue {
    guard let value else { return .null }
    return .object([
      "type": .string(value.typeName), "count": .integer(value.array?.count ?? 1),
      "value": .string(value.shown(elements: 32)),
    ])
  }

  /// For people: a line for each key, then how.
  package var text: OutputText {
    var lines: [OutputText] = edit.changes.map { change in
      let (before, after) = (EditReport.text(change.before), EditReport.text(change.after))
      return "  \(change.key): \(before) → \(after)"
    }
    if edit.changes.isEmpty { lines.append("nothing changes") }
    let would: OutputText = isDryRun ? "would be " : ""
    switch way {
    case .none: break
    case .inPlace:
      lines.append(
        "\(would)changed in place: the tensors' \(ByteSize.shown(edit.tensorBytes)) stay where they are"
      )
    case .newFile:
      lines.append(
        "\(would)written anew: header \(edit.headerBytes.before) → \(edit.headerBytes.after) bytes, "
          + "\(ByteSize.shown(edit.tensorBytes)) of tensors moved")
    }
    lines += edit.forced.map { "forced: \($0)" }
    lines.append("output  \(output)")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func text(_ value: MetadataValue?) -> OutputText {
    guard let value else { return "nothing" }
    return "\(value.typeName) \(value.shown(elements: 8))"
  }
}
