internal import Glibc

/// When a piece of work began, and how long it has been going on.
package struct Stopwatch: Sendable {
  /// The time of the beginning in UTC, to the second and without a zone: `2026-11-24T05:34:24`.
  package let startedAt: String
  private let start = ContinuousClock.now

  /// Starts it.
  package init() {
    var (now, parts) = (time(nil), tm())
    var buffer = [CChar](repeating: 0, count: 32)
    let length =
      gmtime_r(&now, &parts) == nil
      ? 0 : strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%S", &parts)
    startedAt = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Seconds since then.
  package var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }
}
