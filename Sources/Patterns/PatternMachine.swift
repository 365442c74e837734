/// Runs a program over a part of a text.
struct PatternMachine {
  /// Why a search was given up.
  enum Excess: String, Error {
    case steps = "too many ways to try"
    case memory = "too many places to go back to"
  }

  /// Where to go on if a way leads nowhere.
  private enum Retreat {
    /// At a step and a place.
    case way(step: Int, place: Int)
    /// A run that may take less, as far as `least`.
    case shorter(step: Int, least: Int, place: Int)
    /// A run that may take more, `left` characters at the most.
    case longer(step: Int, set: Int, place: Int, left: Int)
    /// A mark that was changed.
    case mark(Int, was: Int)
  }

  private let program: PatternProgram
  private let text: UnsafeBufferPointer<UInt8>
  private let range: Range<Int>
  private var retreats: [Retreat] = []
  private var marks: [Int]
  /// Steps that may still be taken.
  private(set) var left: Int

  /// Places to go back to.
  private static let retreatLimit = 1 << 22

  /// - Parameters:
  ///   - text: valid UTF-8.
  ///   - range: the part that is searched, as if it were all.
  ///   - steps: how many are taken before a search is given up.
  init(
    _ program: PatternProgram, _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, steps: Int
  ) {
    self.program = program
    self.text = text
    self.range = range
    marks = [Int](repeating: -1, count: program.marks)
    left = steps
  }

  /// The end of the match that begins at `start`; nil where none does.
  mutating func match(at start: Int) throws(Excess) -> Int? {
    try run(from: 0, at: start)
  }

  /// The character at `place`, and where the next one begins.
  @inline(__always)
  private func character(at place: Int) -> (value: UInt32, end: Int) {
    let first = UInt32(text[place])
    if first < 0x80 { return (first, place + 1) }
    func tail(_ offset: Int) -> UInt32 { UInt32(text[place + offset] & 0x3F) }
    if first < 0xE0 { return ((first & 0x1F) << 6 | tail(1), place + 2) }
    if first < 0xF0 { return ((first & 0x0F) << 12 | tail(1) << 6 | tail(2), place + 3) }
    return ((first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), place + 4)
  }

  /// Whether a set has a character; a large one is worth as many steps as it has parts.
  @inline(__always)
  private mutating func contains(_ set: Int, _ value: UInt32) -> Bool {
    if value > 255 { left -= program.sets[set].weight - 1 }
    return program.sets[set].contains(value)
  }

  private func start(before place: Int) -> Int {
    var start = place - 1
    while text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  private mutating func run(from first: Int, at start: Int) throws(Excess) -> Int? {
    let floor = retreats.count
    var (step, place) = (first, start)
    while true {
      left -= 1
      if left < 0 { throw .steps }
      var leadsOn = true
      switch program.steps[step] {
      case .set(let set):
        if place < range.upperBound {
          let (value, end) = character(at: place)
          leadsOn = contains(set, value)
          place = end
        } else {
          leadsOn = false
        }
        step += 1
      case .run(let set, let least, let most, let appetite):
        leadsOn = try take(set, least, most, appetite, &step, &place)
      case .split(let now, let later):
        try push(.way(step: later, place: place))
        step = now
      case .jump(let next): step = next
      case .anchor(let anchor):
        leadsOn = holds(anchor, at: place)
        step += 1
      case .ahead(let isNegative, let next):
        leadsOn = (try run(from: step + 1, at: place) != nil) != isNegative
        step = next
      case .atomic(let next):
        let end = try run(from: step + 1, at: place)
        leadsOn = end != nil
        place = end ?? place
        step = next
      case .mark(let slot):
        try push(.mark(slot, was: marks[slot]))
        marks[slot] = place
        step += 1
      case .progress(let slot, let exit): step = marks[slot] == place ? exit : step + 1
      case .done:
        forget(downTo: floor)
        return place
      }
      if !leadsOn, !retreat(downTo: floor, &step, &place) { return nil }
    }
  }

  private mutating func push(_ retreat: Retreat) throws(Excess) {
    if retreats.count >= PatternMachine.retreatLimit { throw .memory }
    retreats.append(retreat)
  }

  /// Takes a run of characters; false where there are too few.
  private mutating func take(
    _ set: Int, _ least: Int, _ most: Int, _ appetite: Pattern.Appetite, _ step: inout Int,
    _ place: inout Int
  ) throws(Excess) -> Bool {
    let wanted = appetite == .lazy ? least : most
    var (count, leastEnd) = (0, place)
    while count < wanted, place < range.upperBound {
      let (value, end) = character(at: place)
      guard contains(set, value) else { break }
      if left < 0 { throw .steps }
      place = end
      count += 1
      if count == least { leastEnd = end }
    }
    left -= count
    guard count >= least else { return false }
    step += 1
    if appetite == .lazy, most > least {
      try push(.longer(step: step, set: set, place: place, left: most - least))
    } else if appetite == .greedy, place > leastEnd {
      try push(.shorter(step: step, least: leastEnd, place: place))
    }
    return true
  }

  /// Goes back to where another way begins; false where there is none.
  private mutating func retreat(
    downTo floor: Int, _ step: inout Int, _ place: inout Int
  ) -> Bool {
    while retreats.count > floor {
      switch retreats.removeLast() {
      case .way(let next, let start):
        (step, place) = (next, start)
        return true
      case .shorter(let next, let least, let end):
        (step, place) = (next, start(before: end))
        if place > least {
          retreats.append(.shorter(step: next, least: least, place: place))
        }
        return true
      case .longer(let next, let set, let start, let more):
        guard start < range.upperBound else { continue }
        let (value, end) = character(at: start)
        guard contains(set, value) else { continue }
        (step, place) = (next, end)
        if more > 1 { retreats.append(.longer(step: next, set: set, place: end, left: more - 1)) }
        return true
      case .mark(let slot, let was): marks[slot] = was
      }
    }
    return false
  }

  /// Drops the ways that a part has left, once it has led to its end; marks stay as they were.
  private mutating func forget(downTo floor: Int) {
    while retreats.count > floor {
      if case .mark(let slot, let was) = retreats.removeLast() { marks[slot] = was }
    }
  }

  private func holds(_ anchor: Pattern.Anchor, at place: Int) -> Bool {
    let newline: UInt8 = 0x0A
    let (isStart, isEnd) = (place == range.lowerBound, place == range.upperBound)
    switch anchor {
    case .textStart: return isStart
    case .textEnd: return isEnd
    case .textEndOrNewline:
      return isEnd || place == range.upperBound - 1 && text[place] == newline
    // Not behind a newline that ends the text: there no line begins.
    case .lineStart: return isStart || !isEnd && text[place - 1] == newline
    case .lineEnd: return isEnd || text[place] == newline
    case .wordEdge, .noWordEdge:
      let before = !isStart && isWord(at: start(before: place))
      let after = !isEnd && isWord(at: place)
      return (before != after) == (anchor == .wordEdge)
    }
  }

  private func isWord(at place: Int) -> Bool {
    UnicodeTable.word.contains(character(at: place).value)
  }
}
