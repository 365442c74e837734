package import Platform
internal import Reports

extension Finding {
  /// The finding as JSON, with the fields of the contract in its order.
  var json: JSONValue {
    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    return .object([
      "rule": .string(rule.rawValue), "severity": .string(severity.rawValue),
      "tensor": text(tensor?.text), "file": text(file), "expected": text(expected),
      "found": text(found), "hint": text(hint), "count": .integer(count),
      "experts": .integer(experts),
      "examples": .array(examples.map { .string($0.text) }),
    ])
  }

  /// The finding as a few lines of text.
  var lines: [OutputText] {
    let word = ("\(severity.rawValue):" as OutputText)
      .painted(severity == .error ? .red : .yellow)
    var head: OutputText = "\(word) \(rule.rawValue)"
    if experts > 1 {
      head += " ×\(count) in \(Quantity.plural(experts, "expert"))"
    } else if count > 1 {
      head += " ×\(count)"
    }
    if let tensor { head += "  \(tensor)" }
    if count > 1, tensor != nil { head += " …" }
    if let file { head += "  (\(file))" }
    var lines = [head]
    if expected != nil || found != nil {
      lines.append(
        "  expected \(expected ?? "nothing"), found \(found ?? "nothing")")
    }
    if let hint { lines.append("  hint: \(hint)") }
    return lines
  }
}

extension Validation {
  /// The document of schema `fathom.validate/1`.
  package var json: JSONValue {
    var document: JSONObject = [
      "schema": .string("fathom.validate/1"),
      "verdict": .string(isValid ? "valid" : "invalid"),
      "checked": .object([
        "tensors": .integer(checkedTensors), "bytes": .integer(checkedBytes),
        "deep": .bool(isDeep),
      ]),
    ]
    if uncheckedTensors > 0 { document["unchecked"] = .integer(uncheckedTensors) }
    document["manifest"] = manifest?.json
    document["findings"] = .array(findings.map(\.json))
    return .object(document)
  }

  /// The report for people: one block per finding, the verdict last.
  package var text: OutputText {
    var lines = findings.flatMap(\.lines)
    let errors = findings.count { $0.severity == .error }
    let warnings = findings.count - errors
    if let manifest { lines.append(manifest.line) }
    if uncheckedTensors > 0 {
      lines.append(
        "\(Quantity.plural(uncheckedTensors, "tensor")) of other parts of the model (vision) "
          + "\(uncheckedTensors == 1 ? "is" : "are") not checked: neither names and shapes nor values"
      )
    }
    let read = isDeep ? "every weight read" : "headers only; --deep reads the weights"
    let verdict =
      isValid ? ("valid" as OutputText).painted(.green) : ("invalid" as OutputText).painted(.red)
    lines.append(
      """
      \(verdict): \(Quantity.count(checkedTensors)) tensors, \
      \(Quantity.bytes(checkedBytes)), \(Quantity.plural(errors, "error")), \
      \(Quantity.plural(warnings, "warning")) (\(read))
      """)
    return lines.joined(separator: "\n") + "\n"
  }
}
