internal import Glibc

/// When a request that failed is tried again.
package struct RetryPlan: Sendable {
  /// Tries in a row that may bring nothing.
  static let tries = 7
  /// Bytes that make a try one that brought something.
  static let progress = 1 << 16
  /// Longest wait that a server may ask for.
  static let longestWait = 300.0

  /// What is done about a failure.
  package enum Verdict: Sendable, Equatable {
    /// Try again after so many seconds.
    case again(after: Double)
    /// Nothing helps.
    case never
  }

  private(set) var failures = 0

  /// Begins with no failure.
  package init() {}

  /// Takes note of a failed try.
  ///
  /// - Parameters:
  ///   - received: bytes that it brought.
  ///   - retryAfter: what the server asks for, in seconds.
  ///   - chance: from 0 up to 1, so that many clients do not come back at once.
  package mutating func verdict(
    received: Int, retryAfter: Double? = nil, chance: Double = .random(in: 0..<1)
  ) -> Verdict {
    failures = received >= RetryPlan.progress ? 1 : failures + 1
    guard failures < RetryPlan.tries else { return .never }
    if let retryAfter {
      return retryAfter <= RetryPlan.longestWait ? .again(after: max(0, retryAfter)) : .never
    }
    return .again(after: 0.25 * Double(1 << (failures - 1)) * (0.75 + 0.5 * chance))
  }

  /// Whether a server may answer otherwise a little later.
  static func isPassing(_ status: Int) -> Bool {
    status == 408 || status == 425 || status == 429
      || (500...599).contains(status) && status != 501
        && status != 505
  }

  /// Seconds that `Retry-After` asks for: a number, or a date.
  package static func seconds(_ field: String, now: Int) -> Double? {
    if let number = Int(field) { return number >= 0 ? Double(number) : nil }
    // `Wed, 21 Oct 2015 07:28:00 GMT`
    let words = field.split { " :,".contains($0) }
    let months = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    let numbers = words.map { Int32($0) }
    guard words.count == 8, words[7] == "GMT", let day = numbers[1],
      let month = months.firstIndex(of: String(words[2])), let year = numbers[3],
      (1970...9999).contains(year), let hour = numbers[4], let minute = numbers[5],
      let second = numbers[6]
    else { return nil }
    var parts = tm()
    (parts.tm_mday, parts.tm_mon, parts.tm_year) = (day, Int32(month), year - 1900)
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, second)
    return Double(max(0, timegm(&parts) - now))
  }
}
