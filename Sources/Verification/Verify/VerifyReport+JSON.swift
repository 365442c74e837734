internal import Models
package import Platform

extension VerifyReport {
  /// Positions of each head that the JSON lists.
  static let listedPositions = 10

  /// The document of schema `fathom.verify/1`; numbers that do not exist are null.
  package var json: JSONValue {
    var document: JSONObject = [
      "schema": .string("fathom.verify/1"), "verdict": .string(verdict.rawValue),
      "reference": .string(reference), "candidate": .string(candidate),
    ]
    var traced: JSONObject = ["tokens": .string(tokenHash.text)]
    traced["reference"] = hashes.reference.map(\.json)
    traced["candidate"] = hashes.candidate.map(\.json)
    document["hashes"] = .object(traced)
    document["as"] = runtime.map { .string($0.rawValue) }
    for (depth, head) in heads.enumerated() {
      var object = head.metrics.json(sizes)
      if depth > 0 { object["acceptance"] = drafts[depth - 1].json }
      document[head.name] = .object(object)
    }
    document["embeddingNmse"] = .number(comparison.embeddingNmse)
    document["layers"] = .array(
      comparison.layers.map { $0.json(bytes: layerBytes[$0.index]) })
    document["worstPositions"] = .array(
      worstPositions(VerifyReport.listedPositions).map { json($0) })
    document["candidateTypes"] = candidateTypes.json
    document["configDifferences"] = .array(configDifferences.map(\.json))
    document["blame"] = blame.map { .array($0.map(\.json)) }
    document["thresholds"] = .array(
      outcomes.map {
        .object([
          "name": .string($0.name), "limit": .number($0.limit), "value": .number($0.value),
          "holds": .bool($0.holds),
        ])
      })
    document["notes"] = .array(notes.map { .string($0) })
    return .object(document)
  }

  private func json(_ worst: WorstPosition) -> JSONValue {
    let measures = worst.measures
    var object: JSONObject = [
      "head": .string(worst.head), "sequence": .integer(worst.sequence),
      "position": .integer(worst.position), "token": .integer(worst.token),
      "kl": .number(measures.divergence), "topReference": .integer(measures.topReference),
      "topCandidate": .integer(measures.topCandidate),
    ]
    object["next"] = worst.next.map { .integer($0) }
    guard let tokenText else { return .object(object) }
    object["text"] = tokenText([worst.token]).map { .string($0) }
    object["nextText"] = worst.next.flatMap { tokenText([$0]) }.map { .string($0) }
    object["topReferenceText"] = tokenText([measures.topReference]).map { .string($0) }
    object["topCandidateText"] = tokenText([measures.topCandidate]).map { .string($0) }
    return .object(object)
  }
}

extension DraftAcceptance {
  fileprivate var json: JSONValue {
    .object([
      "positions": .integer(positions), "reference": .number(reference),
      "candidate": .number(candidate),
    ])
  }
}

extension LogitsMetrics {
  fileprivate func json(_ sizes: (reference: ModelSize?, candidate: ModelSize?)) -> JSONObject {
    var object: JSONObject = [
      "tokens": .integer(tokens), "klMean": .number(klMean), "klMax": .number(klMax),
      "top1Agreement": .number(top1Agreement), "nmse": .number(nmse),
      "maxAbsDifference": .number(maxAbsDifference),
      "perplexityReference": .number(perplexityReference),
      "perplexityCandidate": .number(perplexityCandidate), "nonFinite": .integer(nonFinite),
    ]
    object["klInterval"] = interval.map {
      .object([
        "lower": .number($0.lower), "upper": .number($0.upper),
        "standardError": .number($0.standardError),
      ])
    }
    object["klPercentiles"] = .object(
      statistics.klPercentiles.reduce(into: JSONObject()) { $0[$1.name] = .number($1.value) })
    object["standardErrors"] = .object([
      "klMean": .number(statistics.klError), "top1Agreement": .number(statistics.top1Error),
      "perplexityReference": .number(statistics.perplexityReferenceError),
      "perplexityCandidate": .number(statistics.perplexityCandidateError),
      "perplexityRatio": .number(statistics.perplexityRatioError),
      "probabilityRms": .number(statistics.probabilityRmsError),
    ])
    object["perplexityRatio"] = .number(perplexityRatio)
    object["lossCorrelation"] = .number(statistics.lossCorrelation)
    object["probabilityRms"] = .number(statistics.probabilityRms)
    for (suffix, size) in [("", sizes.candidate), ("Reference", sizes.reference)] {
      object["sizeBytes" + suffix] = size.map { .integer($0.bytes) }
      object["bitsPerWeight" + suffix] = size.map { .number($0.bitsPerWeight) }
    }
    object["positions"] = .object([
      "kl": .array(positions.map { .number($0.divergence) }),
      "topReference": .array(positions.map { .integer($0.topReference) }),
      "topCandidate": .array(positions.map { .integer($0.topCandidate) }),
      "lossReference": .array(positions.map { $0.lossReference.map { .number($0) } ?? .null }),
      "lossCandidate": .array(positions.map { $0.lossCandidate.map { .number($0) } ?? .null }),
    ])
    return object
  }
}

extension LogitsComparison.Layer {
  fileprivate func json(bytes: Int?) -> JSONValue {
    var object: JSONObject = ["index": .integer(index), "hiddenNmse": .number(hiddenNmse)]
    object["bytes"] = bytes.map { .integer($0) }
    object["routerAgreement"] = routerAgreement.map { .number($0) }
    object["routerWeightDifference"] = routerWeightDifference.map { .number($0) }
    object["keyAgreement"] = keyAgreement.map { .number($0) }
    object["keyTies"] = keyTies.map { .integer($0) }
    guard let own else { return .object(object) }
    object["ownNmse"] = .number(own.nmse)
    object["ownRouterAgreement"] = own.routerAgreement.map { .number($0) }
    object["ownRouterWeightDifference"] = own.routerWeightDifference.map { .number($0) }
    object["ownKeyAgreement"] = own.keyAgreement.map { .number($0) }
    guard own.routerAgreement != nil else { return .object(object) }
    object["experts"] = .array(
      own.experts.map {
        .object([
          "index": .integer($0.index), "uses": .integer($0.uses),
          "candidateUses": .integer($0.candidateUses), "ownNmse": .number($0.ownNmse),
          "errorShare": .number($0.errorShare),
        ])
      })
    return .object(object)
  }
}
