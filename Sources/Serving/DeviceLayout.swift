internal import Models
internal import Platform

/// A way to divide a model among devices, with what each of them holds then.
package struct DeviceLayout: Sendable, Hashable {
  /// How it is divided.
  package enum Kind: String, Sendable, Hashable, CaseIterable {
    /// Every matrix that can be cut is cut; caches are on every device.
    case tensor
    /// Routed experts are divided, one by one; all else is on every device, each of which has the
    /// caches of its own sequences.
    case expert
  }

  /// How it is divided.
  package let kind: Kind
  /// Why loaders do not do so with this model; nil where they do.
  package let obstacle: String?
  /// Bytes of weights on the fullest device.
  package let weights: Int
  /// Bytes of caches on the fullest device.
  package let caches: Int
  /// Bytes of each device that both may take.
  package let room: Int
  /// As many sequences of the tokens asked for as fit on all devices together.
  package let largestBatch: Int
  /// As many tokens as fit of each of the sequences asked for.
  package let largestContext: Int

  /// Whether it can be done and there is room.
  package var fits: Bool { obstacle == nil && weights + caches <= room }

  init(_ kind: Kind, _ weights: ServingWeights, _ serving: Serving, on devices: Devices) {
    self.kind = kind
    let count = devices.count
    room = devices.usedBytes
    var held = 0
    for share in ServingWeights.Share.allCases {
      let bytes = weights.main[share] ?? 0
      held += DeviceLayout.part(
        of: bytes, share, kind, count, experts: serving.config.routedExperts)
    }
    self.weights = held
    let sequences =
      kind == .tensor ? serving.batch : serving.batch.dividedRoundingUp(by: count)
    caches = serving.cacheBytes(tokens: serving.tokens, sequences: sequences)
    let free = max(0, room - held)
    let each = max(1, serving.cacheBytes(tokens: serving.tokens, sequences: 1))
    let fitting = free / each
    largestBatch = kind == .tensor ? fitting : fitting.saturatingProduct(with: count)
    let fixed = serving.cacheBytes(tokens: 0, sequences: sequences)
    largestContext =
      max(0, free - fixed)
      / max(1, serving.cacheBytes(tokens: 1, sequences: sequences) - fixed)
    obstacle = DeviceLayout.obstacle(kind, count, serving)
  }

  /// Bytes of a share on the fullest device.
  private static func part(
    of bytes: Int, _ share: ServingWeights.Share, _ kind: Kind, _ count: Int, experts: Int
  ) -> Int {
    switch (kind, share) {
    case (_, .common): bytes
    case (.tensor, _): bytes.dividedRoundingUp(by: count)
    case (.expert, .experts) where experts > 0:
      bytes / experts * experts.dividedRoundingUp(by: count)
    case (.expert, _): bytes
    }
  }

  /// What vLLM refuses to divide so.
  private static func obstacle(_ kind: Kind, _ count: Int, _ serving: Serving) -> String? {
    let config = serving.config
    guard kind == .tensor else {
      guard config.architecture.hasExperts else { return "the network has no experts" }
      return config.routedExperts < count
        ? "there are \(config.routedExperts) experts for \(count) devices" : nil
    }
    if config.heads % count != 0 { return "\(config.heads) heads are not divided by \(count)" }
    let widths =
      [config.intermediateSize]
      + (config.architecture.hasExperts ? [config.moeIntermediateSize] : [])
    if let width = widths.first(where: { $0 % count != 0 }) {
      return "a width of \(width) is not divided by \(count)"
    }
    guard let rows = config.fp8?.blocks?.rows,
      let width = widths.first(where: { $0 / count % rows != 0 })
    else { return nil }
    return "a width of \(width) cut into \(count) is no whole number of FP8 blocks of \(rows)"
  }

  var json: JSONValue {
    var object: JSONObject = [
      "layout": .string(kind.rawValue), "fits": .bool(fits), "weightBytes": .integer(weights),
      "cacheBytes": .integer(caches), "largestBatch": .integer(obstacle == nil ? largestBatch : 0),
      "largestContext": .integer(obstacle == nil ? largestContext : 0),
    ]
    object["obstacle"] = obstacle.map { .string($0) }
    return .object(object)
  }
}

extension Int {
  /// The quotient of two positive numbers, a remainder counting as one more.
  func dividedRoundingUp(by divisor: Int) -> Int { self / divisor + (self % divisor > 0 ? 1 : 0) }

  /// The product of two numbers that are not negative; the largest number where it is larger.
  func saturatingProduct(with other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}
