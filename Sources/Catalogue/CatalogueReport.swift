package import Platform
internal import Reports

extension Catalogue {
  /// The document of schema `fathom.types/1`.
  package var json: JSONValue {
    .object([
      "schema": .string("fathom.types/1"), "model": .string(model),
      "targets": .array(
        targets.map { target in
          var object: JSONObject = [
            "target": .string(target.target), "types": Catalogue.json(target.types),
          ]
          if !target.tensorTypes.isEmpty {
            object["tensorTypes"] = Catalogue.json(target.tensorTypes)
          }
          object["remarks"] = .array(target.remarks.map { .string($0) })
          return .object(object)
        }),
    ])
  }

  private static func json(_ offers: [TypeOffer]) -> JSONValue {
    .array(
      offers.map { offer in
        var object: JSONObject = [
          "name": .string(offer.name), "kind": .string(offer.kind.rawValue),
          "bitsPerWeight": .number(offer.bitsPerWeight),
          "signalToNoise": offer.signalToNoise.map { .number($0) } ?? .null,
          "needsImportance": .bool(offer.needsImportance),
        ]
        if !offer.parts.isEmpty {
          object["parts"] = .array(
            offer.parts.map {
              .object(["type": .string($0.type), "share": .number($0.share)])
            })
        }
        object["note"] = offer.note.map { .string($0) }
        return .object(object)
      })
  }

  /// The lists for people.
  package var text: OutputText {
    targets.map { section($0) }.joined(separator: "\n")
  }

  private func section(_ target: TargetOffer) -> OutputText {
    let isMixed = target.types.contains { $0.kind == .mix }
    let options: OutputText = target.tensorTypes.isEmpty ? "" : ", with options of llama-quantize"
    var lines: [OutputText] = ["--to \(target.target) --quant TYPE\(options)"]
    lines += [""] + Catalogue.table(target.types, last: isMixed ? "tensors" : "")
    if !target.tensorTypes.isEmpty {
      lines += [
        "", "--tensor-type REGEX=TYPE, --output-tensor-type, --token-embedding-type, recipe files",
        "",
      ]
      lines += Catalogue.table(target.tensorTypes, last: "")
    }
    lines.append("")
    let weighed: OutputText =
      isMixed
      ? "Bits are those of a weight, of a file type the mean over all tensors of \(model), MTP layers "
        + "with them."
      : "Bits are those of a weight with its part of the scales."
    lines += [
      weighed,
      "S/N is what is left of normally distributed weights, in dB: 6 dB are twice the error.",
    ]
    lines += target.remarks.map { "\($0)" }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func table(_ offers: [TypeOffer], last: String) -> [OutputText] {
    let asks = offers.contains(where: \.needsImportance)
    var columns: [(title: String, alignment: TextTable.Alignment)] = [
      ("type", .left), ("bits", .right), ("S/N", .right),
    ]
    if asks { columns.append(("imatrix", .left)) }
    columns.append((last, .left))
    var table = TextTable(columns)
    for offer in offers {
      var cells = [
        offer.name, Quantity.fixed(offer.bitsPerWeight, digits: 3),
        offer.signalToNoise.map { Quantity.fixed($0, digits: 1) } ?? "exact",
      ]
      if asks { cells.append(offer.needsImportance ? "needed" : "-") }
      cells.append(last.isEmpty ? offer.note ?? "" : made(of: offer))
      table.add(cells)
    }
    return table.lines
  }

  /// `Q4_K 93.1 %, Q6_K 6.8 %, …`, shares of less than a thousandth by their names alone.
  private static func made(of offer: TypeOffer) -> String {
    offer.parts.map { part in
      part.share < 0.0005
        ? part.type : "\(part.type) \(Quantity.fixed(100 * part.share, digits: 1)) %"
    }.joined(separator: ", ")
  }
}
