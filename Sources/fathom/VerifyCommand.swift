internal import ArgumentParser
internal import Platform
internal import Verification

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Measure how far a model's logits are from another's, and hold them to limits.",
    discussion: """
      Runs both models in F32 on the same tokens, in lock step, and compares logits, hidden states \
      and the router's choices. Limits hold for the main model and for every MTP layer that both \
      models have. Exit code 0: all limits hold; 1: one does not, or a logit is not finite. Without \
      limits only logits that are not finite fail.
      """)

  @Argument(help: ModelArgument.help)
  var reference: String

  @Argument(help: "The model that is measured against it.")
  var candidate: String

  @Option(
    help: """
      Token ids: JSON [ids] or [[ids], …], or a safetensors file with input_ids [batch, tokens]. \
      Without it: \(VerifyReport.defaultTokens) ids of a fixed random sequence.
      """)
  var tokens: String?

  @Option(help: "Most mean KL divergence of candidate from reference, in nats.")
  var maxKl: Double?

  @Option(help: "Least share of positions with the same top token, from 0 to 1.")
  var minTop1: Double?

  @Option(help: "Most normalized mean squared error of the logits.")
  var maxNmse: Double?

  @Option(help: "Most perplexity of the candidate over the reference's on the tokens.")
  var maxPerplexityRatio: Double?

  @Option(help: "Multi-token-prediction layers: keep or drop.")
  var mtp = MTPChoice.keep

  @Option(help: "Threads to compute with; the result does not depend on it.")
  var threads = Workers.available

  @Option(help: "Output format: text or json.")
  var format = OutputFormat.text

  @Option(name: .shortAndLong, help: "Write the report to this file.")
  var output: String?

  @Flag(help: "Replace a report that exists.")
  var overwrite = false

  @Option(help: "Progress on standard error: auto, always or never.")
  var progress = ProgressLine.Mode.auto

  func validate() throws {
    try ModelArgument.check(threads: threads)
    for limit in [maxKl, minTop1, maxNmse, maxPerplexityRatio] {
      guard limit?.isFinite ?? true else { throw ValidationError("a limit is a finite number") }
    }
  }

  func run() throws {
    let destination = try output.map { path throws(Fault) in
      try OutputPath(path, overwrite: overwrite)
    }
    Interruption.listen()
    var line = ProgressLine(progress, unit: .layers)
    defer { line.clear() }
    let report = try VerifyReport(
      reference: reference, candidate: candidate, tokens: tokens, thresholds: thresholds,
      mtp: mtp == .keep, threads: threads
    ) { line.show($0, of: $1) }
    line.clear()
    let text = format == .json ? report.json.text() + "\n" : report.text
    if let destination {
      let file = try AtomicFile(at: destination)
      try file.file.append(Array(text.utf8))
      try file.commit()
    } else {
      try Console.write(text)
    }
    if !report.passes { throw ExitCode(1) }
  }

  private var thresholds: [Threshold] {
    let limits: [(Threshold.Measure, Double?)] = [
      (.maxKL, maxKl), (.minTop1, minTop1), (.maxNMSE, maxNmse),
      (.maxPerplexityRatio, maxPerplexityRatio),
    ]
    return limits.compactMap { measure, limit in limit.map { Threshold(measure, limit: $0) } }
  }
}
