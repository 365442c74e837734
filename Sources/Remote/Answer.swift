internal import Locks
internal import Platform

/// What is asked of a server once, whoever wants to know it first: a fault is remembered like an answer.
final class Answer<Value: Sendable>: Sendable {
  private let known = Guarded<Result<Value, Fault>?>(nil)

  /// The answer; threads that come while it is asked for wait for it.
  ///
  /// - Throws: what `ask` threw when it was called.
  func value(_ ask: () throws(Fault) -> Value) throws(Fault) -> Value {
    try known.withLock { known throws(Fault) in
      if let known { return try known.get() }
      do throws(Fault) {
        let answer = try ask()
        known = .success(answer)
        return answer
      } catch {
        known = .failure(error)
        throw error
      }
    }
  }
}
