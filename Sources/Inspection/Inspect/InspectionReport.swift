internal import Formats
internal import Models
package import Platform
internal import Reports
internal import Serving
package import Tensors
internal import Text

extension Inspection {
  /// The document of schema `fathom.inspect/1`.
  ///
  /// - Parameters:
  ///   - glob: lists the tensors whose names match; nil lists none.
  ///   - metadata: lists the keys of the metadata that match; nil lists none.
  ///   - files: names of the files by `StoredTensor.shard`.
  ///   - statistics: rows that were asked for; nil for none.
  package func json(
    listing glob: Glob?, metadata keys: Glob? = nil, files: [ExactText],
    statistics: [(name: ExactText, statistics: WeightStatistics)]? = nil
  ) -> JSONValue {
    var document: JSONObject = [
      "schema": .string("fathom.inspect/1"), "format": .string(format),
      "architecture": .string(architecture),
      "totals": .object([
        "tensors": .integer(total.tensors), "elements": .integer(total.elements),
        "bytes": .integer(total.bytes), "shards": .integer(shards),
      ]),
      "types": Inspection.json(types), "layers": layersJSON,
    ]
    if let config {
      document["parameters"] = parameters
      document["cost"] = cost
      document["dimensions"] = Inspection.dimensions(config)
      document["positions"] = config.positions
    }
    document["serving"] = serving?.json
    document["quantization"] = .string(quantization)
    if isImplied { document["implied"] = .bool(true) }
    if !reasons.isEmpty { document["notes"] = .array(reasons.map { .string($0) }) }
    if let packedBytes, let packingRatio {
      document["packed"] = .object([
        "bytes": .integer(packedBytes), "ratio": .number(packingRatio),
      ])
    }
    document["tensors"] = glob.map { tensorsJSON(matching: $0, files: files) }
    document["metadata"] = keys.map { metadataJSON(matching: $0) }
    document["tokenizer"] = tokenizer.map { .string($0) }
    document["tokenizerFacts"] = tokenizerFacts?.json
    document["stats"] = statistics.map(WeightStatistics.json)
    return .object(document)
  }

  /// The layers.
  var layersJSON: JSONValue { .array(layers.map { json($0) }) }

  /// The tensors whose names match.
  func tensorsJSON(matching glob: Glob, files: [ExactText]) -> JSONValue {
    .array(
      tensors.filter { glob.matches($0.name.text) }.map { tensor in
        .object([
          "name": .string(tensor.name.text), "type": .string(tensor.type.rawValue),
          "shape": .array(tensor.shape.dimensions.map { .integer($0) }),
          "bytes": .integer(tensor.byteCount), "file": .string(files[tensor.shard].text),
          "offset": .integer(tensor.offset),
        ])
      })
  }

  /// How many times smaller packing made the files; nil where they are not packed.
  private var packingRatio: Double? {
    packedBytes.map { Double(unpackedBytes) / Double(max(1, $0)) }
  }

  private var parameters: JSONValue {
    .object([
      "total": .integer(mainParameters + mtpParameters), "main": .integer(mainParameters),
      "mtp": .integer(mtpParameters), "mtpWithoutCopies": .integer(mtpParameters - mtpCopies),
      "activePerToken": .integer(activePerToken), "scales": .integer(scales),
    ])
  }

  private var cost: JSONValue {
    var object: JSONObject = [
      "flopsPerToken": .integer(flopsPerToken),
      "denseEquivalentFlopsPerToken": .integer(denseEquivalentFlopsPerToken),
      "kvCacheBytesPerToken": .integer(kvCacheBytesPerToken),
      "mhaKvCacheBytesPerToken": .integer(mhaKvCacheBytesPerToken),
    ]
    guard let config else { return .object(object) }
    if config.indexer != nil { object["indexKeyBytesPerToken"] = .integer(indexKeyBytesPerToken) }
    object["atContext"] = context.map { ContextCost(self, config, tokens: $0).json }
    return .object(object)
  }

  private func json(_ layer: Layer) -> JSONValue {
    .object([
      "index": .integer(layer.index), "kind": .string(layer.kind.rawValue),
      "parameters": .integer(layer.parameters), "bytes": .integer(layer.bytes),
      "experts": .integer(layer.experts), "activePerToken": .integer(layer.activePerToken),
      "types": Inspection.json(layer.types),
    ])
  }

  /// What tensors of each type add up to, as reports have it.
  package static func json(_ types: [ElementType: Tally]) -> JSONValue {
    .array(
      Inspection.sorted(types).map { type, tally in
        .object([
          "type": .string(type.rawValue), "tensors": .integer(tally.tensors),
          "elements": .integer(tally.elements), "bytes": .integer(tally.bytes),
        ])
      })
  }

  /// Types with the most bytes first, equal ones by name.
  package static func sorted(
    _ types: [ElementType: Tally]
  ) -> [(type: ElementType, tally: Tally)] {
    types.map { ($0.key, $0.value) }.sorted {
      ($1.1.bytes, $0.0.rawValue) < ($0.1.bytes, $1.0.rawValue)
    }
  }
}

// MARK: - Text

extension Inspection {
  /// The summary that fits one screen.
  package var text: OutputText {
    (summary + [""] + typeTable + notes).joined(separator: "\n") + "\n"
  }

  private var summary: [OutputText] {
    summaryFacts.flatMap { name, value in
      let space = String(repeating: " ", count: max(1, 14 - name.count))
      let line: OutputText = "\(name + space)\(value)"
      return ["parameters", "stored"].contains(name) ? ["", line] : [line]
    }
  }

  /// The summary as pairs of what is told and what it is.
  package var summaryFacts: [(String, String)] {
    let known = config.map { architectureFacts($0) + networkFacts + contextFacts } ?? strangerFacts
    return known + [
      (
        "stored",
        isImplied && shards == 0
          ? "nothing; the config implies \(sizes)"
          : "\(sizes) in \(Quantity.plural(shards, "file"))"
      )
    ] + packedFacts
  }

  private var sizes: String {
    "\(Quantity.plural(total.tensors, "tensor")), \(Quantity.count(total.elements)) elements, "
      + Quantity.bytes(total.bytes)
  }

  /// What is known of a network that is not read.
  private var strangerFacts: [(String, String)] {
    [
      ("architecture", "\(architecture), of which the tensors alone are read"),
      ("quantization", quantization), ("tokenizer", tokenizer ?? "none"),
    ] + tokenFacts
  }

  /// What is told of the tokenizer, where it was looked at.
  private var tokenFacts: [(String, String)] {
    tokenizerFacts.map { [("  tokens", $0.text(count: Quantity.count))] } ?? []
  }

  private var networkFacts: [(String, String)] {
    let whole = "\(Quantity.short(mainParameters + mtpParameters)) in all"
    var parameters = [
      ("parameters", whole + (isImplied ? ", as the config implies" : "")),
      (
        "  main",
        "\(Quantity.short(mainParameters)), \(Quantity.short(activePerToken)) active per token"
      ),
      ("  MTP", Quantity.short(mtpParameters)),
    ]
    if mtpCopies > 0 {
      parameters[2].1 +=
        " (\(Quantity.short(mtpParameters - mtpCopies)) without its copies of embedding and head)"
    }
    return parameters + [
      (
        "compute",
        "\(Quantity.short(flopsPerToken)) FLOPs per token; a dense model of the same width: "
          + "\(Quantity.short(denseEquivalentFlopsPerToken)) "
          + "(\(ratio(denseEquivalentFlopsPerToken, flopsPerToken)) times)"
      ),
      (
        "KV cache",
        "\(Quantity.bytes(kvCacheBytesPerToken)) per token in 16 bits; plain multi-head attention: "
          + "\(Quantity.bytes(mhaKvCacheBytesPerToken)) "
          + "(\(ratio(mhaKvCacheBytesPerToken, kvCacheBytesPerToken)) times)"
          + (config.flatMap(StreamedCosts.init).map {
            "; the windows: \(Quantity.bytes($0.windowBytes)) in all"
          } ?? "")
          + (indexKeyBytesPerToken > 0
            ? "; the indexer's keys: \(Quantity.bytes(indexKeyBytesPerToken)) more" : "")
      ),
    ]
  }

  private var packedFacts: [(String, String)] {
    guard let packedBytes, let packingRatio else { return [] }
    let ratio = Quantity.fixed(packingRatio, digits: 3)
    return [("packed", "\(Quantity.bytes(packedBytes)), \(ratio) times smaller")]
  }

  private func architectureFacts(_ config: ModelConfig) -> [(String, String)] {
    let count = Quantity.count
    let streamed = StreamedCosts(config)?.facts ?? []
    let kinds = [Layer.Kind.dense, .moe, .mtp].map { kind in layers.count { $0.kind == kind } }
    let heading = [
      ("architecture", architecture),
      ("layers", "\(config.layers): \(kinds[0]) dense, \(kinds[1]) MoE; plus \(kinds[2]) MTP"),
    ]
    let storage = [("quantization", quantization), ("tokenizer", tokenizer ?? "none")] + tokenFacts
    guard streamed.isEmpty else {
      return heading + streamed + [("positions", config.positionsText)] + storage
    }
    return heading + [
      (
        "width",
        "hidden \(count(config.hiddenSize)), dense MLP \(count(config.intermediateSize)), "
          + "vocabulary \(count(config.vocabSize)), context \(count(config.contextLength))"
      ),
      (
        "attention",
        "MLA with \(config.heads) heads: query rank \(config.queryRank.map(count) ?? "none"), "
          + "key-value rank \(count(config.keyValueRank)), head \(config.nopeHeadSize) + "
          + "\(config.ropeHeadSize) rotary, value \(config.valueHeadSize)"
      ),
    ] + indexerFacts(config) + [
      ("positions", config.positionsText),
      (
        "experts",
        !config.architecture.hasExperts
          ? "none"
          : "\(config.routedExperts) routed, \(config.expertsPerToken) per token from "
            + "\(config.chosenGroups) of \(config.expertGroups) groups, "
            + "\(config.sharedExperts) shared, width \(count(config.moeIntermediateSize))"
      ),
    ] + storage
  }

  private func ratio(_ a: Int, _ b: Int) -> String {
    b > 0 ? Quantity.fixed(Double(a) / Double(b), digits: 1) : "?"
  }

  private var typeTable: [OutputText] {
    TypeTable.lines(
      Inspection.sorted(types).map { type, tally in
        (type.rawValue, tally.tensors, tally.elements, tally.bytes)
      })
  }

  /// What a reader should know before trusting the numbers above.
  private var notes: [OutputText] {
    var notes: [OutputText] = (reasons + (serving?.assumptions ?? [])).map { "note: \($0)" }
    guard let config else { return notes.isEmpty ? [] : [""] + notes }
    let mtp = layers.count { $0.kind == .mtp }
    if mtp != config.mtpLayers {
      notes.append(
        "note: config.json declares \(Quantity.plural(config.mtpLayers, "MTP layer")), \(mtp) stored"
      )
    }
    if others.tensors > 0 {
      notes.append(
        "note: \(Quantity.plural(others.tensors, "tensor")) of \(Quantity.bytes(others.bytes)) are "
          + "\(config.envelope?.othersName ?? "of other parts"), no part of the text network")
    }
    if unexplained.tensors > 0 {
      notes.append(
        """
        note: \(Quantity.plural(unexplained.tensors, "tensor")) that config.json does not imply; \
        see fathom validate
        """)
    }
    return notes.isEmpty ? [] : [""] + notes
  }

  /// One line per layer.
  package var layerTable: OutputText {
    var table = TextTable([
      ("layer", .right), ("kind", .left), ("parameters", .right), ("active", .right),
      ("experts", .right), ("bytes", .right), ("types", .left),
    ])
    for layer in layers {
      table.add([
        String(layer.index), layer.kind.rawValue, Quantity.count(layer.parameters),
        Quantity.count(layer.activePerToken), layer.experts > 0 ? String(layer.experts) : "-",
        Quantity.bytes(layer.bytes),
        Inspection.sorted(layer.types).map(\.type.rawValue).joined(separator: " "),
      ])
    }
    return table.lines.joined(separator: "\n") + "\n"
  }

  /// One line per layer with experts.
  package var expertTable: OutputText {
    var table = TextTable([
      ("layer", .right), ("kind", .left), ("experts", .right), ("per token", .right),
      ("parameters each", .right), ("bytes each", .right), ("bytes", .right), ("types", .left),
    ])
    for layer in layers where layer.experts > 0 {
      table.add([
        String(layer.index), layer.kind.rawValue, String(layer.experts),
        String(config?.expertsPerToken ?? 0),
        Quantity.count(layer.expertParameters / layer.experts),
        Quantity.bytes(layer.expertBytes / layer.experts), Quantity.bytes(layer.expertBytes),
        layer.expertTypes.map(\.rawValue).sorted().joined(separator: " "),
      ])
    }
    return table.lines.joined(separator: "\n") + "\n"
  }

  /// One line per tensor whose name matches.
  ///
  /// - Parameter files: names of the files by `StoredTensor.shard`.
  package func tensorTable(matching glob: Glob, files: [ExactText]) -> OutputText {
    var table = TextTable(
      [
        ("tensor", .left), ("type", .left), ("shape", .left), ("bytes", .right), ("file", .left),
        ("offset", .right),
      ], namesFirst: true)
    for tensor in tensors where glob.matches(tensor.name.text) {
      table.add([
        tensor.name.text, tensor.type.rawValue, tensor.shape.description,
        Quantity.bytes(tensor.byteCount), files[tensor.shard].text, String(tensor.offset),
      ])
    }
    return table.lines.joined(separator: "\n") + "\n"
  }
}
