internal import Glibc

/// When a piece of work began, and how long it has been going on.
public struct Stopwatch: Sendable {
  /// The time of the beginning in UTC, to the second and without a zone: `2026-11-24T05:34:24`.
  public let startedAt: String
  private let start = ContinuousClock.now

  /// Starts it.
  public init() {
    var (now, parts) = (time(nil), tm())
    var buffer = [CChar](repeating: 0, count: 32)
    let length =
      gmtime_r(&now, &parts) == nil
      ? 0 : strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%S", &parts)
    startedAt = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Seconds since then.
  public var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }
}
