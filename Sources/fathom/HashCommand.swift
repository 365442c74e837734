internal import ArgumentParser
internal import Formats
internal import Inspection
internal import Parts
internal import Platform
internal import Reports
internal import Verification

struct HashCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "hash",
    abstract: "Print a content hash of every tensor, and one of the whole checkpoint.",
    usage: "fathom hash <model> [--check <file>] [<options>]",
    discussion: """
      A tensor's hash covers its type, shape and stored bytes, and neither its name nor its file: it \
      stays the same when a checkpoint is cut into other shards, packed, or moved to another format \
      that stores the same type. The last line hashes the list of all tensors and their names. With \
      --check every line is compared, the last one too; what a list cannot say is counted and named. \
      The exit code is 1 where the checkpoint is not what the list says, or nothing could be compared.

        fathom hash DeepSeek-V3 -o v3.hashes
        fathom hash DeepSeek-V3 --check v3.hashes
      """)

  @Argument(help: ModelArgument.help)
  var model: String

  @Option(
    help: ArgumentHelp(
      """
      Compare with a list that fathom hash printed, as text or JSON, or with what a manifest says of \
      the source of its conversion.
      """, valueName: "file"))
  var check: String?

  @OptionGroup
  var printed: FormatOption

  @OptionGroup
  var work: WorkOptions

  @OptionGroup
  var report: ReportOptions

  @OptionGroup(title: "Many machines")
  var division: ResultPartOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [model] }

  func validate() throws {
    guard division.parts.part != nil else { return }
    if check != nil || printed.format == .json || report.output != nil {
      throw ValidationError("--check, --format json and -o go with --finish: a part has no report")
    }
  }

  func run() throws {
    let inputs = InputPlaces(models: [model], files: [check])
    let part = try division.parts.choice()
    let destination = try report.destination(sparing: inputs)
    let list = try check.map { path throws(Fault) in (path, try HashList(path: path)) }
    let inventory = try Inventory(model: model, threads: work.threads)
    try inventory.requireListable()
    try HashReport.requireReadable(inventory, asJSON: printed.format == .json)
    let parts = HashParts(inventory, model: model)
    if let part {
      let place = try division.place(of: part, parts.results, sparing: inputs)
      let done = try ProgressLine.during(work.progress) { report throws(Fault) in
        try parts.run(part, to: place, threads: work.threads, progress: report)
      }
      return try ResultPartOptions.say(part, "\(done.tensors) tensors hashed", place)
    }
    let hashes =
      try division.folder.map { folder throws(Fault) in try parts.merged(in: folder) }
      ?? ProgressLine.during(work.progress) { report throws(Fault) in
        try ContentHashes(inventory, threads: work.threads, progress: report)
      }
    let result = HashReport(
      hashes, check: list.map { (list: $0.0, comparison: $0.1.comparison(with: hashes)) })
    try destination.write { piece throws(Fault) in
      try printed.format == .json ? result.writeJSON(piece) : result.writeText(piece)
    }
    if !result.holds { throw ExitCode(1) }
  }
}
