internal import CTransport
internal import Glibc
internal import Locks
internal import Platform
internal import Synchronization

/// Takes the body of an answer.
protocol AnswerBody: AnyObject {
  /// Looks at the head before any byte comes; false ends the exchange.
  func begin(_ head: AnswerHead) -> Bool
  /// Takes bytes; false ends the exchange, where there are enough or too many.
  func take(_ bytes: UnsafeRawBufferPointer) -> Bool
}

/// HTTP, by libcurl.
///
/// Connections stay open and are used again: asking takes one from those that are idle, so there are
/// as many as threads that ask at once.
enum Transport {
  /// Seconds after which a connection that does not come about is given up, and one that brings
  /// nothing.
  private static let connectSeconds = 20
  private static let stallSeconds = 30

  /// How an exchange went.
  enum Outcome {
    /// The whole answer came, or as much of it as was wanted.
    case answered
    /// The connection failed, or broke before the end.
    case broken(String)
    /// It cannot succeed: the server's certificate, for example.
    case refused(String)
    /// The program is about to end.
    case stopped
  }

  /// What is asked.
  struct Request {
    let address: Address
    var fields: [String] = []
    var range: Range<Int>?
  }

  /// An idle connection; whoever takes it is alone with it.
  private struct Connection: @unchecked Sendable { let handle: UnsafeMutableRawPointer }

  private static let idle = Guarded<[Connection]>([])
  private static let isLoaded: Bool = fathom_transport_load() == 0
  private static let isStopping = Atomic<Bool>(false)

  /// Loads the library.
  ///
  /// - Throws: `.usage` with what to do where it is not on this machine.
  static func load() throws(Fault) {
    guard !isLoaded else { return }
    var fault = Fault(
      .usage, "addresses are read by libcurl, which is not on this machine",
      expected: "libcurl.so.4, of version 7.62 or later")
    fault.advice = "apt-get install libcurl4, dnf install libcurl, or apk add libcurl"
    throw fault
  }

  /// Ends all exchanges as soon as they are looked at, and lets none begin.
  static func stop() { isStopping.store(true, ordering: .relaxed) }

  /// Certificates that the user names, as other programs have the name of their file.
  private static let authorities: String? = {
    let names = ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]
    return names.lazy.compactMap(Variables.text).first
  }()

  /// What the callbacks of one exchange share.
  private final class Exchange {
    var head = AnswerHead()
    let body: any AnswerBody
    var hasBody = false
    init(_ body: any AnswerBody) { self.body = body }

    func beginBody() -> Bool {
      guard !hasBody else { return true }
      hasBody = true
      return body.begin(head)
    }
  }

  /// Asks, and waits for the answer.
  ///
  /// - Throws: `.usage` where there is no library, `.inputOutput` where there is no memory.
  static func perform(
    _ request: Request, into body: any AnswerBody
  ) throws(Fault) -> (head: AnswerHead, outcome: Outcome) {
    try load()
    let connection = idle.withLock { $0.popLast() } ?? fathom_transport_open().map(Connection.init)
    guard let connection else {
      throw Fault(.inputOutput, "there is no memory for a connection", file: request.address.shown)
    }
    defer { idle.withLock { $0.append(connection) } }
    var fields: UnsafeMutableRawPointer?
    defer { if let fields { fathom_transport_free_headers(fields) } }
    for line in ["User-Agent: fathom/\(FathomVersion.text)", "Accept-Encoding: identity"]
      + request.fields
    {
      fields = fathom_transport_header(fields, line) ?? fields
    }
    let exchange = Exchange(body)
    var reason = [CChar](repeating: 0, count: Int(FATHOM_REASON_BYTES))
    let range = request.range.map { "\($0.lowerBound)-\($0.upperBound - 1)" }
    Traffic.addRequest()
    let code = withCStrings([request.address.text, range, authorities]) { texts in
      var asked = fathom_request(
        address: texts[0]!, headers: fields, range: texts[1], authorities: texts[2],
        stall_seconds: stallSeconds, connect_seconds: connectSeconds,
        context: Unmanaged.passUnretained(exchange).toOpaque(),
        head: { context, line, count in
          let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
          let bytes = UnsafeRawBufferPointer(start: line, count: count)
          return exchange.head.add(String(decoding: bytes, as: UTF8.self)) ? 0 : 1
        },
        body: { context, bytes, count in
          let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
          Traffic.add(bytes: count)
          guard exchange.beginBody() else { return 1 }
          return exchange.body.take(UnsafeRawBufferPointer(start: bytes, count: count)) ? 0 : 1
        },
        stop: { _ in Transport.isEnding ? 1 : 0 })
      return fathom_transport_perform(connection.handle, &asked, &reason)
    }
    let words = String(
      decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if isEnding { return (exchange.head, .stopped) }
    switch Int(code) {
    case FATHOM_EXCHANGE_DONE:
      _ = exchange.beginBody()
      return (exchange.head, .answered)
    case FATHOM_EXCHANGE_ENDED: return (exchange.head, .answered)
    case FATHOM_EXCHANGE_BROKEN: return (exchange.head, .broken(words))
    default: return (exchange.head, .refused(words))
    }
  }

  /// Whether nothing more is to be asked: the program ends, or the user wants it to.
  static var isEnding: Bool {
    if isStopping.load(ordering: .relaxed) { return true }
    do throws(Fault) { try Interruption.check() } catch { return true }
    return false
  }

  /// Hands texts to C, absent ones as null.
  private static func withCStrings<Result>(
    _ texts: [String?], _ body: ([UnsafePointer<CChar>?]) -> Result
  ) -> Result {
    let copies = texts.map { $0.flatMap { strdup($0) } }
    defer { for copy in copies { free(copy) } }
    return body(copies.map { $0.map { UnsafePointer($0) } })
  }
}
