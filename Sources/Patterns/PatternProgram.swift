/// A pattern as steps for a machine that goes back where a way does not lead on.
struct PatternProgram: Sendable {
  enum Step: Sendable {
    /// Takes a character of a set.
    case set(Int)
    /// Takes characters of a set: as many as there are, up to `most`, and fewer later; or the other
    /// way round.
    case run(Int, least: Int, most: Int, Pattern.Appetite)
    /// Goes on at the first place, and at the second if that leads nowhere.
    case split(Int, Int)
    case jump(Int)
    case anchor(Pattern.Anchor)
    /// Tries the steps that follow, up to a `done`, without consuming; goes on at `next`.
    case ahead(isNegative: Bool, next: Int)
    /// Tries the steps that follow, up to a `done`, once; goes on at `next` behind what they took.
    case atomic(next: Int)
    /// Remembers where a turn of a loop begins.
    case mark(Int)
    /// Goes on at `exit` where a turn has taken nothing, so that loops end.
    case progress(Int, exit: Int)
    case done
  }

  private(set) var steps: [Step] = []
  private(set) var sets: [FastSet] = []
  private(set) var marks = 0

  /// Steps that a pattern may need: repetitions are written out.
  private static let limit = 20_000
  /// Parts that are written out, those without steps among them.
  private static let partLimit = 100_000
  private var parts = 0

  init(_ pattern: Pattern) throws(PatternParser.Refusal) {
    try emit(pattern)
    steps.append(.done)
  }

  private mutating func emit(_ pattern: Pattern) throws(PatternParser.Refusal) {
    parts += 1
    guard steps.count < PatternProgram.limit, parts <= PatternProgram.partLimit else {
      throw PatternParser.Refusal(reason: "it has too many repetitions")
    }
    switch pattern {
    case .empty: break
    case .set(let set): steps.append(.set(add(set)))
    case .sequence(let parts): for part in parts { try emit(part) }
    case .choice(let ways): try emit(choice: ways)
    case .loop(let part, let least, let most, let appetite):
      try emit(loop: part, least, most, appetite)
    case .anchor(let anchor): steps.append(.anchor(anchor))
    case .ahead(let part, let isNegative):
      try emit(inner: part) { .ahead(isNegative: isNegative, next: $0) }
    case .atomic(let part): try emit(inner: part) { .atomic(next: $0) }
    }
  }

  private mutating func add(_ set: FastSet) -> Int {
    sets.append(set)
    return sets.count - 1
  }

  private mutating func emit(
    inner part: Pattern, _ step: (Int) -> Step
  ) throws(PatternParser.Refusal) {
    let place = steps.count
    steps.append(.done)
    try emit(part)
    steps.append(.done)
    steps[place] = step(steps.count)
  }

  private mutating func emit(choice ways: [Pattern]) throws(PatternParser.Refusal) {
    var jumps: [Int] = []
    for (index, way) in ways.enumerated() {
      guard index < ways.count - 1 else {
        try emit(way)
        break
      }
      let split = steps.count
      steps.append(.done)
      try emit(way)
      jumps.append(steps.count)
      steps.append(.done)
      steps[split] = .split(split + 1, steps.count)
    }
    for jump in jumps { steps[jump] = .jump(steps.count) }
  }

  private mutating func emit(
    loop part: Pattern, _ least: Int, _ most: Int?, _ appetite: Pattern.Appetite
  ) throws(PatternParser.Refusal) {
    if case .set(let set) = part {
      steps.append(.run(add(set), least: least, most: most ?? .max, appetite))
      return
    }
    if appetite == .possessive {
      return try emit(
        inner: .loop(part, least: least, most: most, .greedy)
      ) { .atomic(next: $0) }
    }
    for _ in 0..<least { try emit(part) }
    guard let most else { return try emit(endless: part, appetite) }
    var splits: [Int] = []
    for _ in least..<most {
      splits.append(steps.count)
      steps.append(.done)
      try emit(part)
    }
    for split in splits { steps[split] = PatternProgram.split(split + 1, steps.count, appetite) }
  }

  private mutating func emit(
    endless part: Pattern, _ appetite: Pattern.Appetite
  ) throws(PatternParser.Refusal) {
    let (slot, split) = (marks, steps.count)
    marks += 1
    steps.append(.done)
    steps.append(.mark(slot))
    try emit(part)
    let end = steps.count
    steps.append(.progress(slot, exit: end + 2))
    steps.append(.jump(split))
    steps[split] = PatternProgram.split(split + 1, end + 2, appetite)
  }

  private static func split(_ into: Int, _ past: Int, _ appetite: Pattern.Appetite) -> Step {
    appetite == .lazy ? .split(past, into) : .split(into, past)
  }
}
