internal import Locks
internal import Platform

/// What is known of a distant file's contents, which every answer is held to: its size, its tag, the
/// commit that it belongs to. What is not known yet is taken from the first answer.
final class PinnedContents: Sendable {
  /// What is known beforehand.
  struct Facts: Sendable {
    /// The repository's commit.
    var commit: String?
    /// The tag that the hub has for a large file: its SHA-256.
    var hash: String?
    var size: Int?
    /// The tag that answers have.
    var tag: String?
  }

  let path: String
  private let state: Guarded<State>

  private struct State {
    var facts: Facts
    /// The tag of the first answer.
    var first: String?
    /// Tags by where answers came from: another host may have another tag for the same contents.
    var tags: [String: String] = [:]
  }

  init(_ path: String, _ facts: Facts) {
    self.path = path
    state = Guarded(State(facts: facts))
  }

  /// Its size, once it is known.
  var size: Int? { state.withLock { $0.facts.size } }

  /// The hub's hash of a large file.
  var hash: String? { state.withLock { $0.facts.hash } }

  /// What its keeper calls these contents, once they have been looked at: the tag of the first answer.
  var tag: String { state.withLock { $0.first ?? $0.facts.tag ?? "" } }

  /// What is wrong with a redirect's head.
  func fault(ofRedirect head: AnswerHead) -> Fault? {
    let facts = state.withLock { $0.facts }
    if let commit = head["x-repo-commit"], let expected = facts.commit, commit != expected {
      return changed("commit \(commit)", expected: "commit \(expected)")
    }
    if let tag = head["x-linked-etag"].map(AnswerHead.plain), let hash = facts.hash, tag != hash {
      return changed("contents called \(tag)", expected: hash)
    }
    if let size = head["x-linked-size"].flatMap({ Int($0) }), let known = facts.size, size != known
    {
      return changed("\(size) bytes", expected: "\(known) bytes")
    }
    return nil
  }

  /// What is wrong with an answer's head; what it says first is known from then on.
  ///
  /// - Parameter origin: where it came from.
  func fault(of head: AnswerHead, total: Int, from origin: String) -> Fault? {
    if let fault = fault(ofRedirect: head) { return fault }
    let (size, tag) = state.withLock { state -> (Int?, String?) in
      let known = (state.facts.size, state.facts.tag ?? state.tags[origin])
      if known.0 == nil { state.facts.size = total }
      if known.1 == nil { state.tags[origin] = head.tag }
      if state.first == nil { state.first = head.tag }
      return known
    }
    if let size, size != total { return changed("\(total) bytes", expected: "\(size) bytes") }
    if let tag, let now = head.tag, now != tag {
      return changed("contents called \(now)", expected: tag)
    }
    return nil
  }

  /// Keeps the size of a file without bytes.
  func note(size: Int) { state.withLock { $0.facts.size = size } }

  /// The fault of contents that are others by now.
  func changed(_ found: String, expected: String? = nil) -> Fault {
    Fault(
      .malformed, "changed while it was read", file: path, expected: expected, found: found)
  }

  /// The fault of an answer that is none to what was asked.
  func wrong(_ found: String) -> Fault {
    Fault(
      .inputOutput, "is answered wrongly by its server", file: path,
      expected: "the bytes that were asked for", found: found)
  }
}
