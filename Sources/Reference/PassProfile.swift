package import Codecs
internal import Platform

/// Where a forward pass spends its time, stage by stage.
///
/// A pass tells it on the thread that leads it when a stage begins and ends; what workers note is read
/// between their calls, hence `@unchecked`.
package final class PassProfile: @unchecked Sendable {
  /// The stages of a pass, in the order of a layer.
  package enum Stage: Int, CaseIterable, Sendable {
    /// Whatever is none of the others.
    case other
    /// Rows of the embedding, and what predictors of further tokens make of them.
    case embedding
    /// Norm, projections and heads of attention, with what chooses keys.
    case attention
    /// Scores of experts, and the choice.
    case router
    /// Routed experts.
    case experts
    /// MLPs that all tokens go through: of dense layers, and shared experts.
    case mlp
    /// The last norm and the logits, with what takes them.
    case head
  }

  /// What a stage has taken so far.
  package struct Entry: Sendable {
    /// Seconds of wall time.
    package fileprivate(set) var seconds = 0.0
    /// Seconds of all processors together.
    package fileprivate(set) var processor = 0.0
    /// What the workers note, all together.
    package fileprivate(set) var work = ProductTimes()

    /// Makes an entry of nothing.
    package init() {}

    /// Both together.
    package static func + (a: Entry, b: Entry) -> Entry {
      var sum = a
      sum.seconds += b.seconds
      sum.processor += b.processor
      sum.work = a.work + b.work
      return sum
    }
  }

  private var entries = [Entry](repeating: Entry(), count: Stage.allCases.count)
  private var stage = Stage.other
  private var scratches: [ProductScratch] = []
  private var mark: (time: ContinuousClock.Instant, processor: Double)

  /// Begins with a stage of its own.
  package init() { mark = (.now, ProcessMemory.processorSeconds) }

  /// What the stages have taken, in their order; what is going on now not included.
  package var stages: [(stage: Stage, entry: Entry)] {
    Stage.allCases.map { ($0, entries[$0.rawValue]) }
  }

  /// Takes the scratch memory of the workers, which note their times in it from now on.
  func watch(_ scratches: [ProductScratch]) {
    for scratch in scratches { scratch.times = ProductTimes() }
    self.scratches += scratches
  }

  /// Does what belongs to a stage; in between, stages within it count for themselves.
  func measure<Result, Problem: Error>(
    _ stage: Stage, _ body: () throws(Problem) -> Result
  ) throws(Problem) -> Result {
    let before = self.stage
    turn(to: stage)
    defer { turn(to: before) }
    return try body()
  }

  /// Ends the accounts of the stage that is going on.
  package func close() { turn(to: .other) }

  private func turn(to next: Stage) {
    let now = (time: ContinuousClock.now, processor: ProcessMemory.processorSeconds)
    var passed = Entry()
    passed.seconds = (now.time - mark.time) / .seconds(1)
    passed.processor = now.processor - mark.processor
    for scratch in scratches {
      passed.work = passed.work + (scratch.times ?? ProductTimes())
      scratch.times = ProductTimes()
    }
    entries[stage.rawValue] = entries[stage.rawValue] + passed
    (mark, stage) = (now, next)
  }
}

extension PassProfile? {
  /// The same where there is a profile.
  func measure<Result, Problem: Error>(
    _ stage: PassProfile.Stage, _ body: () throws(Problem) -> Result
  ) throws(Problem) -> Result {
    guard let self else { return try body() }
    return try self.measure(stage, body)
  }
}
