internal import Platform

/// How far a part of a conversion is, as its journal says.
package struct PartState: Sendable {
  /// What it is about to become.
  package enum Condition: String, Sendable {
    /// No run of it has begun.
    case missing
    /// A run of it was interrupted.
    case unfinished
    /// A run is at work.
    case running
    /// Its journal cannot be read.
    case damaged
    /// It has nothing left to do.
    case complete
  }

  /// Which part it is, from 1 on.
  package let number: Int
  /// What is known of its run.
  package let condition: Condition
  /// Bytes that are safe.
  package let safeBytes: Int
  /// Bytes that it writes; nil where that is not known.
  package let byteCount: Int?
  /// What is wrong with its journal; nil for nothing.
  package let problem: String?
  /// What the journal says; nil where there is none that can be read.
  let records: ConversionRecords?
  /// Its lines.
  let lines: [String]

  /// Looks at a part without claiming it.
  ///
  /// - Parameter folder: the hidden folder of the work.
  /// - Throws: `.inputOutput` where its journal cannot be read.
  init(_ number: Int, of count: Int, in folder: String) throws(Fault) {
    self.number = number
    let own = Folder.join(folder, Share.name(number, of: count))
    var records: ConversionRecords?
    var problem: String?
    var isRunning = false
    var lines: [String] = []
    do throws(Fault) {
      if let journal = try Journal.look(in: own) {
        isRunning = journal.isClaimed
        lines = journal.text.lines
        records = try ConversionRecords(journal.text, file: Folder.join(own, "journal"))
        if records?.part == nil { records = nil }
      }
    } catch {
      guard error.kind == .cannotCreate else { throw error }
      problem = error.description
    }
    let bytes = records?.part?.bytes.values.reduce(0) { $0 + $1.count }
    let isWritten = records?.part?.bytes.allSatisfy { file, range in
      records?.segments[file]?.last?.end == range.upperBound
    }
    condition =
      if problem != nil {
        .damaged
      } else if isRunning {
        .running
      } else if records == nil {
        .missing
      } else {
        isWritten == true && records?.warningsOfDone != nil ? .complete : .unfinished
      }
    self.records = records
    self.lines = lines
    self.problem = problem
    byteCount = bytes
    safeBytes = records?.byteCount ?? 0
  }

  /// All parts of the work in a folder.
  ///
  /// - Throws: `.inputOutput` where a journal cannot be read.
  static func all(of count: Int, in folder: String) throws(Fault) -> [PartState] {
    var states: [PartState] = []
    for number in 1...count { states.append(try PartState(number, of: count, in: folder)) }
    return states
  }

  /// Throws `.cannotCreate` with the parts that are not complete, by their numbers.
  static func requireComplete(_ states: [PartState], file: String) throws(Fault) {
    var texts: [String] = []
    for condition in [Condition.missing, .unfinished, .running, .damaged] {
      let numbers = states.filter { $0.condition == condition }.map { "\($0.number)" }
      if !numbers.isEmpty {
        let shown = numbers.prefix(16).joined(separator: ", ") + (numbers.count > 16 ? ", …" : "")
        texts.append("\(condition.rawValue): \(shown)")
      }
    }
    guard !texts.isEmpty else { return }
    var fault = Fault(
      .cannotCreate, "cannot be finished", file: file,
      expected: "\(states.count) complete parts", found: texts.joined(separator: "; "))
    fault.advice =
      "run those again, with --part K/\(states.count): they go on where they were"
      + (states.compactMap(\.problem).first.map { "; \($0)" } ?? "")
    throw fault
  }
}
