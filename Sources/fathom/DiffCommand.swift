internal import ArgumentParser
internal import Conversion
internal import Dialects
internal import Inspection
internal import Models
internal import Pages
internal import Platform
internal import Reports
internal import Tensors
internal import Verification
internal import Weights

struct DiffCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Compare the weights of two checkpoints tensor by tensor, whatever their formats.",
    usage: "fathom diff <a> <b> [<options>]",
    discussion: """
      Values are compared, scales and blocks decoded, under Hugging Face's names: an FP8 checkpoint \
      with a GGUF file, for example. With --min-sqnr or --max-abs the exit code is 1 where a tensor \
      is out of bounds, missing or of another shape. --headers compares names, shapes and types \
      alone, of models on servers too, and exits with 1 where names or shapes differ.

        fathom diff DeepSeek-V3 v3-q4.gguf --mtp drop
        fathom diff DeepSeek-V3 V3-bf16 --min-sqnr 50
        fathom diff DeepSeek-V3 hf://deepseek-ai/DeepSeek-V3 --headers
      """)

  @Argument(help: "The reference; signal and order go by it.")
  var a: String

  @Argument(help: "The one to compare.")
  var b: String

  @Flag(help: "Compare names, shapes and types, and read no weights.")
  var headers = false

  @Option(help: ArgumentHelp("Compare only tensors whose names match.", valueName: "glob"))
  var tensors: String?

  @Option(help: "Multi-token-prediction layers: keep, or drop to leave them out.")
  var mtp = MTPChoice.keep

  @Option(help: "Rows of the table, the worst first; 0 for all.")
  var top = 20

  @Option(help: ArgumentHelp("Least signal to noise of any tensor, in dB.", valueName: "dB"))
  var minSqnr: Double?

  @Option(help: ArgumentHelp("Largest difference of any element.", valueName: "x"))
  var maxAbs: Double?

  @OptionGroup
  var printed: FormatOption

  @OptionGroup
  var work: WorkOptions

  @OptionGroup
  var report: ReportOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [a, b] }

  func validate() throws {
    guard top >= 0 else { throw ValidationError("--top takes a number from 0 on") }
    guard !headers || minSqnr == nil && maxAbs == nil else {
      throw ValidationError("--min-sqnr and --max-abs need weights, and --headers reads none")
    }
    guard minSqnr?.isFinite ?? true else {
      throw ValidationError("--min-sqnr takes a finite number")
    }
    guard maxAbs.map({ $0 >= 0 && $0.isFinite }) ?? true else {
      throw ValidationError("--max-abs takes a finite number from 0 on")
    }
  }

  func run() throws {
    let destination = try report.destination(sparing: InputPlaces(models: [a, b]))
    let (one, other) = (
      try SourceModel(path: a, threads: work.threads),
      try SourceModel(path: b, threads: work.threads)
    )
    let glob = tensors.map(Glob.init)
    let layers = one.config.layers
    let names = (one.weights.all + other.weights.all).map(\.name.text)
    if let tensors, let glob, !names.contains(where: glob.matches) {
      throw Fault(
        .usage, "--tensors matches no tensor of either model", expected: "a pattern for names",
        found: tensors)
    }
    let keep = { (name: String) in
      (glob?.matches(name) ?? true) && (mtp == .keep || !isMTP(name, layers: layers))
    }
    if headers {
      let result = HeaderDiffReport(
        try HeaderDifferences(one.weights, other.weights, keep: keep), a: a, b: b)
      return try show(result, in: destination)
    }
    let differences = try ProgressLine.during(work.progress) { report throws(Fault) in
      try WeightDifferences(
        one, other, threads: work.threads, keep: keep, progress: report)
    }
    let result = DiffReport(
      differences, a: a, b: b, limits: DiffReport.Limits(minSQNR: minSqnr, maxAbs: maxAbs))
    try show(result, in: destination)
  }

  /// Writes a report as it is asked for, and ends with 1 where it does not hold.
  private func show(_ result: some DiffDocument, in destination: ReportDestination) throws {
    try destination.write { piece throws(Fault) in
      if printed.format == .json {
        try result.writeJSON(piece)
      } else {
        try piece(result.text(top: top))
      }
    }
    if !result.holds { throw ExitCode(1) }
  }

  private func isMTP(_ name: String, layers: Int) -> Bool {
    ModelConfig.layer(of: ExactText(name)).map { $0 >= layers } ?? false
  }
}

/// What a comparison says, of weights or of headers alone.
private protocol DiffDocument {
  var holds: Bool { get }
  func text(top: Int) -> OutputText
  func writeJSON(_ write: (OutputText) throws(Fault) -> Void) throws(Fault)
}

extension DiffReport: DiffDocument {}
extension HeaderDiffReport: DiffDocument {}
