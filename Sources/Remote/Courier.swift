internal import Glibc
internal import Locks
internal import Platform

/// Asks for one address until there is an answer: follows redirects, waits where a server asks for
/// it, tries again what may succeed.
///
/// The token goes to the origin of the address and to nobody else, wherever an answer sends us.
final class Courier: Sendable {
  /// The address, which alone is asked for with `fields`.
  let address: Address
  /// Its name in messages.
  let path: String
  /// Fields that the address's own host may see, a token perhaps.
  private let fields: [String]
  /// Further ones, which sign each request.
  private let signature: (@Sendable (Address) -> [String])?
  /// What may help where the server refuses us.
  private let key: String
  /// Where the last answer came from, if it was another place: signed addresses serve for a while.
  private let location = Guarded<Address?>(nil)

  /// Addresses for one range that may have expired before they were used.
  private static let mostExpiries = 3
  /// Most redirects for one answer.
  private static let hops = 6
  /// All threads wait when one is asked to.
  private static let pause = Guarded<ContinuousClock.Instant>(.now)

  init(
    _ address: Address, path: String, fields: [String] = [],
    signature: (@Sendable (Address) -> [String])? = nil, key: String = ""
  ) {
    self.key = key
    self.address = address
    self.path = path
    self.fields = fields
    self.signature = signature
  }

  /// Where an answer may be put, in as many pieces as connections break.
  protocol Receiver: AnswerBody {
    /// What is still needed; nil for the whole.
    var range: Range<Int>? { get }
    /// Bytes that were taken since the last `start`.
    var received: Int { get }
    /// Whether everything is there.
    var isComplete: Bool { get }
    /// What is wrong with the answer, however often it is asked for.
    var fault: Fault? { get }
    /// Begins another try.
    func start()
    /// Takes note of who is asked now.
    func ask(_ origin: String)
    /// Looks at the head of a redirect.
    func pass(_ head: AnswerHead)
  }

  /// Asks until the receiver is complete.
  ///
  /// - Throws: the receiver's fault; `.notFound` where the server has no such thing, or not for us;
  ///   `.inputOutput` where it cannot be reached; `.interrupted`.
  func fetch(into receiver: any Receiver) throws(Fault) {
    var plan = RetryPlan()
    var expiries = 0
    while true {
      try Interruption.check()
      try Courier.waitOut()
      receiver.start()
      let known = location.withLock { $0 }
      let (place, head, outcome) = try follow(from: known ?? address, into: receiver)
      if let fault = receiver.fault { throw fault }
      if case .answered = outcome, receiver.isComplete { return }
      switch outcome {
      case .stopped: throw Fault(.interrupted, "interrupted")
      case .refused(let words):
        throw Fault(.inputOutput, "cannot be read: \(words)", file: path, found: place.host)
      case .answered where [401, 403, 404, 410].contains(head.status) && place != address:
        // What was signed for a while is asked for anew.
        location.withLock { $0 = nil }
        expiries += 1
        if expiries > Courier.mostExpiries { throw answer(head, from: place) }
      case .answered where !RetryPlan.isPassing(head.status) && head.status / 100 != 2:
        throw answer(head, from: place)
      case .answered, .broken:
        let wait = head["retry-after"].flatMap { RetryPlan.seconds($0, now: time(nil)) }
        let verdict = plan.verdict(received: receiver.received, retryAfter: wait)
        guard case .again(let seconds) = verdict else {
          throw exhausted(head, outcome, from: place)
        }
        if place != address { location.withLock { $0 = nil } }
        let end = ContinuousClock.now + .milliseconds(Int(seconds * 1000))
        if head.status == 429 || head.status == 503 {
          Courier.pause.withLock { $0 = max($0, end) }
        } else {
          try Courier.sleep(until: end)
        }
      }
    }
  }

  /// Asks at a place and where it sends us.
  private func follow(
    from start: Address, into receiver: any Receiver
  ) throws(Fault) -> (Address, AnswerHead, Transport.Outcome) {
    var place = start
    for _ in 0...Courier.hops {
      let isOwn = place.origin == address.origin
      var request = Transport.Request(address: place, range: receiver.range)
      if isOwn {
        request.fields = fields + (signature?(place) ?? [])
      }
      receiver.ask(place.origin)
      let (head, outcome) = try Transport.perform(request, into: receiver)
      guard case .answered = outcome, head.isRedirect, let next = head["location"] else {
        if head.status / 100 == 2, place != address { location.withLock { $0 = place } }
        return (place, head, outcome)
      }
      receiver.pass(head)
      if receiver.fault != nil { return (place, head, outcome) }
      let target: Address
      do throws(Fault) { target = try Address(next, from: place) } catch {
        throw Fault(
          .malformed, "is elsewhere, at what is no address", file: path, found: place.host)
      }
      guard target.scheme == "https" || place.scheme == "http" else {
        throw Fault(
          .malformed, "is sent from https to http, which anybody could read and change", file: path,
          found: "\(place.host) sends us to \(target.host)")
      }
      place = target
    }
    throw Fault(
      .inputOutput, "is sent from place to place", file: path,
      expected: "at most \(Courier.hops) redirects", found: "the next to \(place.host)")
  }

  private static func waitOut() throws(Fault) { try sleep(until: pause.withLock { $0 }) }

  /// Sleeps in short pieces, so that Ctrl-C is heard.
  private static func sleep(until end: ContinuousClock.Instant) throws(Fault) {
    while true {
      let left = end - .now
      guard left > .zero else { return }
      // Nobody waits for what will not be read any more.
      if Transport.isEnding { throw Fault(.interrupted, "interrupted") }
      usleep(UInt32(min(100_000, max(1000, left / .microseconds(1)))))
    }
  }

  /// The fault of an answer that no further try changes.
  private func answer(_ head: AnswerHead, from place: Address) -> Fault {
    let words = "\(head.status) from \(place.host)"
    switch head.status {
    case 401, 403:
      var fault = Fault(.notFound, "is not open to us, or not there", file: path, found: words)
      fault.advice = key.isEmpty ? nil : key
      if head["x-error-code"] == "GatedRepo" {
        fault.advice = "its owner must let you in: ask on the model's page, and set HF_TOKEN"
      }
      return fault
    case 404, 410:
      let isRevision = head["x-error-code"] == "RevisionNotFound"
      return Fault(
        .notFound, isRevision ? "has no such revision" : "is not there", file: path, found: words)
    default:
      return Fault(.inputOutput, "cannot be read", file: path, found: words)
    }
  }

  /// The fault of a server that kept failing.
  private func exhausted(
    _ head: AnswerHead, _ outcome: Transport.Outcome, from place: Address
  ) -> Fault {
    var fault = Fault(.inputOutput, "cannot be read", file: path)
    if case .broken(let words) = outcome {
      fault.found = "\(words), from \(place.host)"
    } else if RetryPlan.isPassing(head.status) {
      let wait = head["retry-after"].map { ", which asks to wait: \($0)" } ?? ""
      fault.found = "\(head.status) from \(place.host)\(wait)"
    } else {
      fault.found = "answers of another length than they say, from \(place.host)"
    }
    fault.advice = "the same command later; a conversion or download goes on where it was"
    return fault
  }
}
