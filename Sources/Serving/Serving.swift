package import Models
package import Platform
internal import Reports

/// What it takes to serve a model: weights as they are stored, caches of so many sequences of so many
/// tokens, and how both fit on devices.
package struct Serving: Sendable {
  /// The network.
  package let config: ModelConfig
  /// Tokens of each sequence.
  package let tokens: Int
  /// Sequences at a time.
  package let batch: Int
  /// The devices that were asked about; nil for none.
  package let devices: Devices?
  /// Bytes of weights.
  package let weights: ServingWeights
  /// Bytes that a token leaves in the caches.
  package let cache: CacheLayout
  /// The ways to divide it; none without devices.
  package private(set) var layouts: [DeviceLayout] = []

  /// Tokens of a sequence, and sequences, that are told of.
  package static let limits = (tokens: 1 << 30, batch: 1 << 20)

  /// Adds up.
  package init(
    _ config: ModelConfig, weights: ServingWeights, tokens: Int, batch: Int, devices: Devices?
  ) {
    self.config = config
    self.weights = weights
    self.tokens = tokens
    self.batch = batch
    self.devices = devices
    cache = CacheLayout(config)
    if let devices {
      layouts = DeviceLayout.Kind.allCases.map { DeviceLayout($0, weights, self, on: devices) }
    }
  }

  /// Bytes of the caches of some sequences.
  func cacheBytes(tokens: Int, sequences: Int) -> Int {
    let (bytes, overflow) = cache.bytes.saturatingProduct(with: tokens)
      .addingReportingOverflow(cache.perSequence)
    return overflow ? .max : bytes.saturatingProduct(with: sequences)
  }

  /// Bytes of the caches of all sequences.
  package var cacheBytes: Int { cacheBytes(tokens: tokens, sequences: batch) }

  // MARK: Reports

  /// The member `serving` of `fathom.inspect/1`.
  package var json: JSONValue {
    var object: JSONObject = [
      "tokens": .integer(tokens), "batch": .integer(batch),
      "weightBytes": .integer(weights.mainBytes), "mtpBytes": .integer(weights.mtp),
      "cacheBytes": .integer(cacheBytes), "cacheBytesPerToken": .integer(cache.bytes),
      "caches": cache.json,
      "programs": .array(
        cache.programs.map {
          .object(["name": .string($0.name), "cacheBytesPerToken": .integer($0.bytes)])
        }),
    ]
    if let devices {
      object["devices"] = .object([
        "count": .integer(devices.count), "bytes": .integer(devices.size.bytes),
        "usedBytes": .integer(devices.usedBytes), "layouts": .array(layouts.map(\.json)),
      ])
    }
    return .object(object)
  }

  /// What is told people, as pairs of what is told and what it is.
  package var facts: [(String, String)] {
    let bytes = Quantity.bytes
    let parts = [
      ("latents", cache.latents), ("rotary keys", cache.rotaryKeys),
      ("index keys", cache.indexKeys),
    ].filter { $0.1 > 0 }.map { "\($0.0) \(bytes($0.1))" }.joined(separator: ", ")
    var facts = [
      (
        "serving",
        "\(Quantity.plural(batch, "sequence")) of \(Quantity.count(tokens)) tokens: weights "
          + "\(bytes(weights.mainBytes)), caches \(bytes(cacheBytes)) in 16 bits"
      ),
      ("  a token", "\(bytes(cache.bytes)) of caches: \(parts)"),
    ]
    facts += cache.programs.map { ("", "\(bytes($0.bytes)) in \($0.name)") }
    guard let devices else { return facts }
    facts.append(
      (
        "on \(devices)",
        "\(Devices.usedPercent) % of each, \(bytes(devices.usedBytes)), for weights and caches"
      ))
    return facts + layouts.map { ("  \($0.kind.rawValue)", text($0)) }
  }

  private func text(_ layout: DeviceLayout) -> String {
    if let obstacle = layout.obstacle { return "not possible: \(obstacle)" }
    let bytes = Quantity.bytes
    let each = "\(bytes(layout.weights)) of weights and \(bytes(layout.caches)) of caches on each: "
    guard layout.weights < layout.room, layout.largestContext > 0 else {
      return each + "weights alone lack \(bytes(max(1, layout.weights - layout.room)))"
    }
    let most =
      "at most \(Quantity.plural(layout.largestBatch, "sequence")) of \(Quantity.count(tokens)), or "
      + "\(batch) of \(Quantity.count(layout.largestContext))"
    return each + (layout.fits ? "fits; \(most)" : "does not fit; \(most)")
  }

  /// What the numbers take for granted, a line each.
  package var assumptions: [String] {
    var lines = [
      "weights are counted as they are stored, without MTP layers"
        + (weights.mtp > 0 ? " (\(Quantity.bytes(weights.mtp)) more)" : "")
        + "; activations and buffers are not counted"
    ]
    guard let devices else { return lines }
    let experts = config.routedExperts.dividedRoundingUp(by: devices.count)
    lines += [
      "tensor: heads, widths and vocabulary are cut into \(devices.count); projections to latents, "
        + "indexers, routers, norms and all caches are on every device",
      "expert: \(experts) of \(config.routedExperts) experts on each device, all else on every one; a "
        + "sequence's caches are on one device",
    ]
    let longest = layouts.map(\.largestContext).max() ?? 0
    if longest > config.contextLength {
      lines.append("the model itself goes to \(Quantity.count(config.contextLength)) tokens")
    }
    return lines
  }
}
