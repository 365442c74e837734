internal import CPlatform
internal import Glibc
internal import Locks
internal import Synchronization

/// Standard output and standard error, written whole or not at all.
package enum Console {
  /// Writes results to standard output.
  ///
  /// - Throws: `.inputOutput` where the text could not be written, so that a full disk behind a
  ///   redirection never passes for success.
  package static func write(_ text: OutputText) throws(Fault) {
    let code = put(fitted(text, isMessage: false), to: STDOUT_FILENO)
    if code != 0 {
      throw Fault(.inputOutput, "cannot write to standard output", found: reason(code))
    }
  }

  /// Writes a warning or a word about the work to standard error, unless it was asked to be quiet.
  package static func message(_ text: OutputText) {
    if !isQuiet { error(text) }
  }

  /// Writes what stopped the work to standard error; there is nobody to tell if that fails.
  package static func error(_ text: OutputText) {
    _ = put(fitted(text, isMessage: true) + "\n", to: STDERR_FILENO)
  }

  /// Replaces the last line of a terminal on standard error; an empty text leaves it blank.
  package static func draw(_ text: OutputText) {
    _ = put("\r\u{1B}[K" + text.text, to: STDERR_FILENO)
  }

  /// Columns of the terminal that results go to, or messages; nil where there is none.
  package static func columns(ofMessages: Bool) -> Int? {
    let columns = Int(fathom_columns(ofMessages ? STDERR_FILENO : STDOUT_FILENO))
    return columns > 0 ? columns : nil
  }

  private static let fitter = Guarded<(@Sendable (OutputText, _ isMessage: Bool) -> OutputText)?>(
    nil)

  /// Has texts fitted to where they go before they are written.
  package static func fitTexts(_ body: @escaping @Sendable (OutputText, Bool) -> OutputText) {
    fitter.withLock { $0 = body }
  }

  private static func fitted(_ text: OutputText, isMessage: Bool) -> String {
    (fitter.withLock { $0 }?(text, isMessage) ?? text).text
  }

  /// Whether standard error is a terminal, where progress may be drawn.
  package static var messagesAreOnTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// When verdicts and severities have a colour.
  package enum ColourMode: String, Sendable, CaseIterable {
    /// On a terminal, unless `NO_COLOR` is set.
    case auto
    /// Always.
    case always
    /// Never.
    case never
  }

  private static let quiet = Atomic<Bool>(false)
  private static let verbose = Atomic<Bool>(false)
  private static let colours = Atomic<Bool>(false)
  private static let start = ContinuousClock.now

  /// Whether warnings, words about the work and progress are left out.
  package static var isQuiet: Bool { quiet.load(ordering: .relaxed) }

  /// Leaves them out from now on.
  package static func beQuiet() { quiet.store(true, ordering: .relaxed) }

  /// Has each step of the work said from now on, with the seconds since then.
  package static func sayEveryStep() {
    _ = start
    verbose.store(true, ordering: .relaxed)
  }

  /// Says a step of the work, where that was asked for: what was done, in the past tense.
  package static func step(_ text: @autoclosure () -> OutputText) {
    guard verbose.load(ordering: .relaxed) else { return }
    if messagesAreOnTerminal { draw("") }
    let tenths = Int((ContinuousClock.now - start) / .milliseconds(100))
    error("fathom: \(tenths / 10).\(tenths % 10) s: \(text())")
  }

  /// Whether results on standard output have colours.
  package static var hasColours: Bool { colours.load(ordering: .relaxed) }

  /// Decides that.
  package static func useColours(_ mode: ColourMode) {
    let isWanted =
      isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR").map { $0.pointee == 0 } ?? true
    colours.store(mode == .always || mode == .auto && isWanted, ordering: .relaxed)
  }

  /// Ends the program quietly when a reader closes the pipe early, as `| head` does.
  package static func endOnClosedPipe() { signal(SIGPIPE, SIG_DFL) }

  /// What is done before the program ends, however it does.
  private static let lastWords = Guarded<(@Sendable () -> Void)?>(nil)

  /// Has something done before the program ends: threads that use a library must have ended before
  /// the library is taken down.
  package static func beforeExit(_ body: @escaping @Sendable () -> Void) {
    lastWords.withLock { $0 = body }
  }

  /// Ends the program with an exit code.
  package static func exit(_ code: Int32) -> Never {
    lastWords.withLock { $0 }?()
    Glibc.exit(code)
  }

  private static func put(_ text: String, to descriptor: Int32) -> Int32 {
    var text = text
    return text.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        if count < 0 && errno == EINTR { continue }
        if count < 0 { return errno }
        done += count
      }
      return 0
    }
  }
}

/// The system's words for an error number, e.g. `No space left on device`.
func reason(_ code: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  // Glibc's Swift module exports the XSI form, which fills the buffer and returns a code.
  guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
  return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
