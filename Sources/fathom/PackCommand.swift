internal import ArgumentParser
internal import Formats
internal import Inspection
internal import Platform
internal import Reports
internal import Transit
internal import Verification

struct PackCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "pack",
    abstract: "Make a model's files smaller without losing a bit.",
    usage: "fathom pack <model> <output> [<options>]",
    discussion: """
      The exponents of weights are compressed apart from their mantissas. Every command reads the \
      result as it reads the model, and fathom unpack gives back the very same files. Packed files \
      are safetensors files themselves.

        fathom pack V3-bf16 V3-packed
        fathom pack V3-bf16 V3-small --threads 2
      """)

  @Argument(help: ModelArgument.help)
  var model: String

  @Argument(help: "The folder to write, or the file where the model is one file.")
  var output: String

  @Flag(help: "Replace an output that exists, once the new one is complete.")
  var overwrite = false

  @OptionGroup
  var printed: FormatOption

  @OptionGroup
  var work: WorkOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [model] }

  func run() throws {
    let destination = try OutputPath.model(
      output, overwrite: overwrite, sparing: InputPlaces(models: [model]))
    let source = try PackableModel(path: model, threads: work.threads)
    for line in source.skipped { Console.message("fathom: warning: \(line)") }
    let stopwatch = Stopwatch()
    let report = try ProgressLine.during(work.progress) { progress throws(Fault) in
      try source.pack(to: destination, threads: work.threads, progress: progress)
    }
    guard printed.format == .text else { return try Console.write(report.json.printed() + "\n") }
    let ratio = Quantity.fixed(report.ratio, digits: 3)
    try Console.write(
      """
      output \(output): \(report.files.count) files, \(Quantity.bytes(report.byteCount)) in \
      \(Quantity.bytes(report.packedByteCount)), \(ratio) times smaller, \
      \(Quantity.fixed(stopwatch.seconds, digits: 2)) s

      """)
  }
}

struct UnpackCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "unpack",
    abstract: "Give back the files that fathom pack made smaller.",
    usage: """
      fathom unpack <packed> <output> [<options>]
      fathom unpack <packed> --check [<options>]
      """,
    discussion: """
      Every file is checked against the hash of the one that was packed before it gets its name. \
      What lies there and was not packed is not given back; with --check the exit code is 1 then.

        fathom unpack V3-packed --check
        fathom unpack V3-packed V3-again
      """)

  @Argument(help: "What fathom pack wrote: a folder or a file.")
  var packed: String

  @Argument(help: "The folder or file to write; none with --check.")
  var output: String?

  @Flag(help: "Read everything and check the hashes, and write nothing.")
  var check = false

  @Flag(help: "Replace an output that exists, once the new one is complete.")
  var overwrite = false

  @Flag(help: "Unpack also what becomes more than 10,000 times as large, and more than 1 GB.")
  var allowGrowth = false

  @OptionGroup
  var printed: FormatOption

  @OptionGroup
  var work: WorkOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [packed] }

  func validate() throws {
    guard check == (output == nil) else {
      throw ValidationError(
        check ? "--check writes nothing: give no output" : "give an output, or --check")
    }
  }

  func run() throws {
    let destination = try output.map { path throws(Fault) in
      try OutputPath.model(path, overwrite: overwrite, sparing: InputPlaces(models: [packed]))
    }
    let model = try PackedModel(path: packed)
    for line in model.warnings { Console.message("fathom: warning: \(line)") }
    if model.growth >= PackedModel.remarkableGrowth {
      Console.message(
        "fathom: \(packed): \(Quantity.bytes(model.packedByteCount)) become "
          + "\(Quantity.bytes(model.byteCount)), \(model.growth) times as much")
    }
    if !allowGrowth { try model.requireUsualGrowth() }
    let stopwatch = Stopwatch()
    let report = try ProgressLine.during(work.progress) { progress throws(Fault) in
      guard let destination else {
        return try model.check(threads: work.threads, progress: progress)
      }
      return try model.unpack(to: destination, threads: work.threads, progress: progress)
    }
    try Console.write(
      printed.format == .json
        ? report.json.printed() + "\n" : text(of: report, seconds: stopwatch.seconds))
    // What was not packed is not given back, so that it spoils a check alone.
    if check, !report.coverage.holds { throw ExitCode(1) }
  }

  private func text(of report: UnpackReport, seconds: Double) -> OutputText {
    let verdict: OutputText =
      switch report.coverage.verdict {
      case .same: "sound"
      case .incomplete: "sound as far as compared (\(report.coverage.summary))"
      case .different: "not what was packed (\(report.coverage.summary))"
      }
    return """
      \(output.map { "output \($0)" } ?? verdict): \(report.files) files, \
      \(Quantity.bytes(report.byteCount)) out of \(Quantity.bytes(report.packedByteCount)), \(Quantity.fixed(seconds, digits: 2)) s

      """
  }
}
