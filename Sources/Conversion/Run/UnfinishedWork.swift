internal import Formats
package import Platform

/// What a run that was interrupted has left, looked at without touching it.
package struct UnfinishedWork: Sendable {
  /// What can be done with it.
  package enum State: String, Sendable {
    /// The conversion can go on.
    case resumable
    /// Another run is at work in it.
    case running
    /// What was begun is not known any more.
    case damaged
    /// Nothing in it is needed.
    case expendable
  }

  /// A file that tensors are read from.
  package struct SourceFile: Sendable, Hashable {
    /// Its name.
    package let name: ExactText
    /// Its size.
    package let byteCount: Int
    /// Whether it is where it was, with the size and time that it had: another file of its name may
    /// be there since.
    package let isThere: Bool
    /// Whether the journal says that it has been, or was about to be, deleted.
    package let isNotedAsDeleted: Bool
    /// Whether the headers that a resumed run plans from are kept.
    package let hasBeginning: Bool

    /// Whether what was in it is in the work alone.
    package var isGone: Bool { !isThere && (isNotedAsDeleted || hasBeginning) }
  }

  /// A file of weights that is written.
  package struct OutputFile: Sendable, Hashable {
    /// Its name.
    package let name: ExactText
    /// Its size when it is complete.
    package let byteCount: Int
    /// Bytes from its start that the journal calls safe.
    package let safeBytes: Int
  }

  /// The hidden folder.
  package let folder: String
  /// What can be done.
  package let state: State
  /// The version of the program that began it; nil where that is not known.
  package let version: String?
  /// What was asked for; nil where that is not known.
  package let recipe: JSONValue?
  /// By which command and where; nil where that is not known.
  package let origin: ConversionOrigin?
  /// The files of the source.
  package let source: [SourceFile]
  /// The files of the output.
  package let output: [OutputFile]
  /// Of a pass over a model's layers, how many of them are safe, and all; nil for a conversion.
  package let layers: (safe: Int, all: Int)?
  /// Where several runs divide the work: how far each part is; empty where one run does everything.
  package let parts: [PartState]
  /// Whether the folder may hold what is nowhere else, so that no command empties it.
  package let isProtected: Bool
  /// What is wrong with the journal, a line each.
  package let problems: [String]

  /// Bytes that are safe.
  package var safeBytes: Int {
    output.reduce(0) { $0 + $1.safeBytes } + parts.reduce(0) { $0 + $1.safeBytes }
  }
  /// Source files whose contents are here alone.
  package var gone: [SourceFile] { state == .expendable ? [] : source.filter(\.isGone) }

  /// Looks at what stands at a path.
  ///
  /// - Parameter path: the hidden folder, or the name of the output.
  /// - Throws: `.notFound` where there is no unfinished work, `.inputOutput` where it cannot be read.
  package init(at path: String) throws(Fault) {
    folder = try UnfinishedWork.folder(for: path)
    var problems: [String] = []
    var records: ConversionRecords?
    var isClaimed = false
    var text = JournalText()
    do throws(Fault) {
      if let journal = try Journal.look(in: folder) { (text, isClaimed) = journal }
      records = try ConversionRecords(text, file: Folder.join(folder, "journal"))
    } catch {
      guard error.kind == .cannotCreate else { throw error }
      problems.append(error.description)
    }
    if problems.isEmpty, text.lines.isEmpty { problems.append("the journal is empty") }
    problems += text.gaps.map {
      "\($0.count) bytes at byte \($0.offset) are damaged in both copies of the journal"
    }
    let identity = records?.identity
    version = identity?.version
    recipe = identity?.recipe
    origin = records?.origin
    let beginnings = Folder.join(folder, WorkFolder.beginningsName)
    source = try UnfinishedWork.source(records, in: beginnings)
    output = UnfinishedWork.output(records)
    layers = records.flatMap { known in
      known.layers.map { (known.passes.last?.layers ?? 0, $0) }
    }
    isProtected = try UnfinishedWork.isProtected(folder, text, records)
    var parts: [PartState] = []
    if let count = records?.parts {
      parts = try PartState.all(of: min(count, PartChoice.mostParts), in: folder)
    }
    self.parts = parts
    self.problems = problems
    let isRunning = isClaimed || parts.contains { $0.condition == .running }
    state =
      if isRunning {
        .running
      } else if records?.isExpendable == true {
        .expendable
      } else {
        identity == nil ? .damaged : .resumable
      }
  }

  /// The hidden folder that a path means.
  private static func folder(for path: String) throws(Fault) -> String {
    if try Folder.kind(of: path) == .folder,
      Folder.name(of: path).utf8.suffix(WorkFolder.suffix.utf8.count).elementsEqual(
        WorkFolder.suffix.utf8)
    {
      return path
    }
    let destination = try? OutputPath(path, overwrite: true)
    if let work = destination?.workPath, try Folder.kind(of: work) == .folder { return work }
    throw Fault(
      .notFound, "has no unfinished work", file: path,
      expected: "the name of an output, or a folder .NAME\(WorkFolder.suffix)")
  }

  private static func source(
    _ records: ConversionRecords?, in beginnings: String
  ) throws(Fault) -> [SourceFile] {
    guard let records, let origin = records.origin else { return [] }
    var files: [SourceFile] = []
    // A server is not asked for what only its user can tell.
    let isElsewhere = DistantPlaces.isAddress(origin.source)
    for file in records.identity?.source ?? [] {
      let stamp = isElsewhere ? nil : try Folder.stamp(of: Folder.join(origin.source, file.name))
      let isSame =
        stamp?.size == file.size && stamp?.seconds == file.seconds
        && stamp?.nanoseconds == file.nanoseconds
      files.append(
        SourceFile(
          name: file.name, byteCount: file.size, isThere: isElsewhere || isSame,
          isNotedAsDeleted: records.deleted.contains(file.name),
          hasBeginning: try Folder.kind(of: Folder.join(beginnings, file.name)) == .file))
    }
    return files
  }

  static func output(_ records: ConversionRecords?) -> [OutputFile] {
    guard let records, let origin = records.origin else { return [] }
    return origin.files.enumerated().map { number, file in
      OutputFile(
        name: file.name, byteCount: file.byteCount,
        safeBytes: min(file.byteCount, records.segments[number]?.last?.end ?? 0))
    }
  }

  private static func isProtected(
    _ folder: String, _ text: JournalText, _ records: ConversionRecords?
  ) throws(Fault) -> Bool {
    guard let records else { return true }
    if records.isPlacing || !records.deleted.isEmpty { return true }
    return try WorkFolder.loss(in: folder, text) != nil
  }
}
