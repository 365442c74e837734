package import Platform

/// Devices of one kind that a model is to be served by.
package struct Devices: Sendable, Hashable {
  /// How many there are.
  package let count: Int
  /// Memory of each.
  package let size: ByteSize

  /// What a device is filled to: vLLM's usual `gpu_memory_utilization`. The rest is for activations,
  /// graphs and what passes between devices.
  package static let usedPercent = 90

  /// Devices of which no larger number is served as one.
  static let limit = 65_536

  /// Reads `8x80GB`, or a size for one device; nil for anything else, numbers without a unit among it:
  /// nobody's device has 80 bytes.
  package init?(_ text: String) {
    let parts = text.lowercased().split(separator: "x", omittingEmptySubsequences: false)
    guard let last = parts.last, parts.count <= 2, last.hasSuffix("b"),
      let size = ByteSize(String(last))
    else { return nil }
    guard let count = parts.count == 2 ? Int(parts[0]) : 1, (1...Devices.limit).contains(count)
    else { return nil }
    self.count = count
    self.size = size
  }

  /// Bytes of each that weights and caches may take.
  package var usedBytes: Int { size.bytes / 100 * Devices.usedPercent }
}

extension Devices: CustomStringConvertible {
  /// `8 × 80GB`.
  package var description: String { "\(count) × \(size)" }
}
