package import Platform
internal import Synchronization

/// What this run has asked of servers, and read from them.
package enum Traffic {
  private static let requestCount = Atomic<Int>(0)
  private static let bodyBytes = Atomic<Int>(0)

  static func addRequest() { requestCount.wrappingAdd(1, ordering: .relaxed) }
  static func add(bytes: Int) { bodyBytes.wrappingAdd(bytes, ordering: .relaxed) }

  /// Bytes of answers so far, their heads left out.
  package static var bytes: Int { bodyBytes.load(ordering: .relaxed) }
  /// Requests so far.
  package static var requests: Int { requestCount.load(ordering: .relaxed) }

  /// A line on it; nil where nobody was asked.
  package static var summary: OutputText? {
    guard requests > 0 else { return nil }
    let again = DiskCache.shared.reused
    return "\(ByteSize.shown(bytes)) (\(bytes) bytes) read from servers in \(requests) requests"
      + (again > 0 ? ", \(ByteSize.shown(again)) again from the cache" : "")
  }
}
