internal import Locks
package import Platform

extension Workers {
  /// Works on `0..<count` in ranges of equal length, each on a thread of its own, but in no more than
  /// hold `least` each: what the ranges gave, in their order.
  package static func parts<Part: Sendable>(
    threads: Int, of count: Int, least: Int, _ body: @Sendable (Range<Int>) -> Part
  ) throws(Fault) -> [Part] {
    let number = max(1, min(threads, count / least))
    let parts = Guarded([Part?](repeating: nil, count: number))
    try run(threads: number, count: number) { _, item throws(Fault) in
      let part = body(count * item / number..<count * (item + 1) / number)
      parts.withLock { $0[item] = part }
    }
    return parts.withLock { $0.compactMap(\.self) }
  }
}
