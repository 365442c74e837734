package import Platform

/// Which part of a command's work a run does: `--part 3/16`, or `auto` where an engine that runs many
/// says it in the environment.
package struct PartChoice: Sendable, Hashable {
  /// Which part it is, from 1 on.
  package let number: Int
  /// How many there are.
  package let count: Int
  /// Where the number was taken from; nil where the user gave it.
  package let origin: String?

  /// Most parts: none of them would have anything to do.
  package static let mostParts = 100_000
  /// The variable that says how many parts there are, for `auto`.
  package static let countVariable = "FATHOM_PARTS"

  /// `3/16`.
  package var text: String { "\(number)/\(count)" }

  /// Reads `K/N`, `auto` or `auto/N`.
  ///
  /// With `auto` alone, a Slurm array gives both numbers: its tasks are counted from the first, whatever
  /// their numbers and steps. With `auto/N`, or `FATHOM_PARTS`, the number of a Slurm task is the part's,
  /// so that a single task can be submitted again; that of a Kubernetes index is one less.
  ///
  /// - Parameter variable: a variable of the environment.
  /// - Throws: `.usage` where it is neither, or the environment does not say it.
  package init(_ argument: String, variable: (String) -> String?) throws(Fault) {
    let words = argument.split(separator: "/", omittingEmptySubsequences: false)
    let isAuto = words.first == "auto"
    guard words.count == (isAuto ? words.count : 2), words.count <= 2 else {
      throw PartChoice.fault(argument)
    }
    var count: Int?
    if words.count == 2 {
      guard let number = PartChoice.number(words[1]) else { throw PartChoice.fault(argument) }
      count = number
    }
    guard isAuto else {
      guard let number = PartChoice.number(words[0]), let count else {
        throw PartChoice.fault(argument)
      }
      try self.init(number, of: count, origin: nil)
      return
    }
    if count == nil, let text = variable(PartChoice.countVariable) {
      guard let number = PartChoice.number(text) else {
        throw Fault(
          .usage, "\(PartChoice.countVariable) is no number of parts",
          expected: "1 to \(PartChoice.mostParts)", found: text)
      }
      count = number
    }
    let found = try PartChoice.find(count, variable)
    try self.init(found.number, of: found.count, origin: found.origin)
  }

  /// All parts of so many, in their order.
  package static func all(of count: Int) -> [PartChoice] {
    (0..<count).map { PartChoice(known: $0 + 1, of: count, origin: nil) }
  }

  /// The part's items of a list, each of which takes so much.
  package func items(of sizes: [Int]) -> Range<Int> {
    PartDivision(sizes, among: count).items(of: number)
  }

  /// What the environment says.
  ///
  /// - Parameter count: how many parts there are; nil where the engine has to say so.
  private static func find(
    _ count: Int?, _ variable: (String) -> String?
  ) throws(Fault) -> (number: Int, count: Int, origin: String) {
    func integer(_ name: String) throws(Fault) -> Int? {
      guard let text = variable(name) else { return nil }
      guard let number = Int(text), (0...1 << 40).contains(number) else {
        throw Fault(.usage, "\(name) is no number", found: text)
      }
      return number
    }
    if let task = try integer("SLURM_ARRAY_TASK_ID") {
      if let count { return (task, count, "SLURM_ARRAY_TASK_ID") }
      guard let first = try integer("SLURM_ARRAY_TASK_MIN"),
        let last = try integer("SLURM_ARRAY_TASK_MAX"),
        let tasks = try integer("SLURM_ARRAY_TASK_COUNT"), tasks > 0
      else {
        throw Fault(
          .usage, "--part auto cannot tell how many parts there are",
          expected: "SLURM_ARRAY_TASK_MIN, _MAX and _COUNT beside SLURM_ARRAY_TASK_ID, or auto/N")
      }
      let step = max(1, try integer("SLURM_ARRAY_TASK_STEP") ?? 1)
      guard first <= task, task <= last, last - first == (tasks - 1) * step,
        (task - first) % step == 0
      else {
        throw Fault(
          .usage, "--part auto cannot count the tasks of this array",
          expected: "an array such as 1-16 or 0-30:2, or auto/N",
          found: "task \(task) of \(tasks) from \(first) to \(last) by \(step)")
      }
      return ((task - first) / step + 1, tasks, "SLURM_ARRAY_TASK_ID")
    }
    if let index = try integer("JOB_COMPLETION_INDEX") {
      guard let count else {
        throw Fault(
          .usage, "JOB_COMPLETION_INDEX does not say how many parts there are",
          expected: "--part auto/N, or N in \(PartChoice.countVariable)")
      }
      return (index + 1, count, "JOB_COMPLETION_INDEX")
    }
    throw Fault(
      .usage, "--part auto finds no part in the environment",
      expected: "SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX")
  }

  private init(_ number: Int, of count: Int, origin: String?) throws(Fault) {
    guard (1...count).contains(number) else {
      throw Fault(
        .usage, "there is no part \(number) of \(count)",
        expected: "1 to \(count)" + (origin.map { ", from \($0)" } ?? ""), found: "\(number)")
    }
    self.init(known: number, of: count, origin: origin)
  }

  private init(known number: Int, of count: Int, origin: String?) {
    (self.number, self.count, self.origin) = (number, count, origin)
  }

  private static func number(_ text: some StringProtocol) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 }),
      let number = Int(text), (1...mostParts).contains(number)
    else { return nil }
    return number
  }

  private static func fault(_ argument: String) -> Fault {
    Fault(
      .usage, "--part takes K/N with K from 1 to N, auto, or auto/N",
      expected: "3/16, say", found: argument)
  }
}
