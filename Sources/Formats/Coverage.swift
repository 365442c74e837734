package import Platform

/// What a check compared, what it could not, and the one rule by which it passes: see "Verdicts" in
/// `ARCHITECTURE.md`.
package struct Coverage: Sendable, Hashable {
  /// Why something fails a check.
  package enum Problem: String, Sendable, CaseIterable {
    /// It is there and is not what was expected.
    case different
    /// It was expected and is not there.
    case missing
    /// It is there and was not expected.
    case unexpected
  }

  /// What a check amounts to.
  package enum Verdict: String, Sendable {
    /// All that was expected was compared and is the same, and nothing else is there.
    case same
    /// What was compared is the same, and something could not be compared.
    case incomplete
    /// Something is different, missing or unexpected.
    case different
  }

  /// Things that are counted, the first of which are named.
  package struct Group: Sendable, Hashable {
    /// How many there are.
    package private(set) var count = 0
    /// The first names.
    package private(set) var names: [ExactText] = []

    /// Names that are kept.
    private static let limit = 20

    fileprivate mutating func add(_ name: ExactText) {
      count += 1
      if names.count < Group.limit { names.append(name) }
    }
  }

  /// Things that were compared, those that are different among them.
  package private(set) var compared = 0
  /// What could not be compared.
  package private(set) var uncompared = Group()
  private var problems: [Problem: Group] = [:]

  /// Begins with nothing.
  package init() {}

  /// What has a problem.
  package subscript(problem: Problem) -> Group { problems[problem] ?? Group() }

  /// Things with a problem.
  package var problemCount: Int { problems.values.reduce(0) { $0 + $1.count } }

  /// Takes note of something that was compared.
  package mutating func compare(_ name: ExactText, isSame: Bool) {
    compared += 1
    if !isSame { problems[.different, default: Group()].add(name) }
  }

  /// Takes note of something that one side alone has.
  package mutating func add(_ problem: Problem, _ name: ExactText) {
    precondition(problem != .different, "what differs was compared")
    problems[problem, default: Group()].add(name)
  }

  /// Takes note of something that could not be compared.
  package mutating func pass(over name: ExactText) { uncompared.add(name) }

  /// What the check amounts to.
  package var verdict: Verdict {
    problemCount > 0 ? .different : uncompared.count > 0 || compared == 0 ? .incomplete : .same
  }

  /// Whether the check passes: nothing has a problem, and something was compared.
  package var holds: Bool { problemCount == 0 && compared > 0 }

  /// Looks for what lies in a folder beside what was expected there.
  ///
  /// Hidden entries are no part of a model: no loader looks for them, and tools leave their own
  /// there. They are counted as not compared.
  ///
  /// - Returns: names of what was not expected, and of hidden entries.
  /// - Throws: `.inputOutput` and `.notFound` where the folder cannot be listed.
  package static func strangers(
    in folder: String, expected: Set<ExactText>
  ) throws(Fault) -> (unexpected: [ExactText], hidden: [ExactText]) {
    let names = try Folder.names(in: folder).filter { !expected.contains($0) }
    let isHidden = { (name: ExactText) in name.utf8.first == UInt8(ascii: ".") }
    return (names.filter { !isHidden($0) }, names.filter(isHidden))
  }
}
