public import Platform
internal import Synchronization

/// What this run has asked of servers, and read from them.
public enum Traffic {
  private static let requestCount = Atomic<Int>(0)
  private static let bodyBytes = Atomic<Int>(0)

  static func addRequest() { requestCount.wrappingAdd(1, ordering: .relaxed) }
  static func add(bytes: Int) { bodyBytes.wrappingAdd(bytes, ordering: .relaxed) }

  /// Bytes of answers so far, their heads left out.
  public static var bytes: Int { bodyBytes.load(ordering: .relaxed) }
  /// Requests so far.
  public static var requests: Int { requestCount.load(ordering: .relaxed) }

  /// A line on it; nil where nobody was asked.
  public static var summary: OutputText? {
    guard requests > 0 else { return nil }
    return "\(ByteSize.shown(bytes)) (\(bytes) bytes) read from servers in \(requests) requests"
  }
}
