internal import ArgumentParser
internal import Conversion
internal import Models
internal import Parts
internal import Passes
internal import Platform
internal import Reports
internal import Verification

struct VerifyCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Measure how far a model's logits are from another's, and hold them to limits.",
    usage: """
      fathom verify <reference> <candidate> ...
        [--tokens <file> | --text <file>] [<options>]
      fathom verify --record <reference> -o <file>
        [--tokens <file> | --text <file>] [<options>]
      """,
    discussion: """
      Runs both models in F32 on the same tokens, in lock step, and compares logits, hidden states \
      and the router's choices; MTP layers apart, as far as both models have them. Limits hold for \
      the main model and for every MTP layer that is compared. Exit code 0: all limits hold; 1: \
      one does not, or a logit is not finite. Without limits only logits that are not finite fail. \
      Several candidates are held to the same limits, and the report shows what each loses for its \
      size. Several runs can divide the sequences of --tokens among themselves: --part, then --finish \
      for the report of one run, with its limits.

        fathom verify DeepSeek-V3 v3-q4.gguf --text book.txt --max-kl 0.2
        fathom verify --record DeepSeek-V3 --tokens ids.json -o v3.baseline
        fathom verify DeepSeek-V3 q4.gguf --tokens ids.json --part 2/2 --parts work
        fathom verify DeepSeek-V3 q4.gguf --tokens ids.json --finish --parts work
      """)

  @Argument(
    help: ArgumentHelp(
      "The model that is the measure, or a baseline of it. A model is "
        + ModelArgument.words(beginning: "a")))
  var reference: String

  @Argument(
    help: """
      The model that is measured against it, or several, for which the reference is run once; none \
      with --record.
      """)
  var candidates: [String] = []

  @Flag(
    help: """
      Run the reference alone and keep, in the file that -o names, what candidates can be measured \
      against later: a baseline, which then stands where REFERENCE stands.
      """)
  var record = false

  @Option(help: "With --record: tokens whose logits are kept for each position, on average.")
  var keep = 64

  @OptionGroup(
    title: "Input (without any: \(VerifyReport.defaultTokens) ids of a fixed random sequence)")
  var input: InputOptions

  @Flag(
    help: """
      Feed the reference's hidden states into each of the candidate's layers too, so that a layer's \
      own error is told apart from what it inherited.
      """)
  var isolate = false

  @Flag(
    help: """
      Rank what differs (keys of the config, tensors, experts) by how much it adds, by putting it \
      into the reference alone; implies --isolate.
      """)
  var blame = false

  @Option(
    name: .customLong("as"),
    help: """
      Run the candidates with what a runtime rounds: llama.cpp (activations in blocks of 8 bits, a \
      cache in F16), deepseek-fp8 (activations in FP8 by 128) or mlx (16-bit activations). Default: \
      F32 alone.
      """)
  var runtime: RuntimeArithmetic?

  @Option(help: "Rows of the ranking, and layers that are looked into.")
  var blameCount = 10

  @Option(
    help: """
      Memory that the process may take; the result does not depend on it. Sequences go through the \
      models in groups that fit, each group through all weights. Default: 1GB, or more where one \
      sequence is too long for it.
      """)
  var memory: ByteSize?

  @Option(
    help: "Limits from a JSON file (Schemas/verify.schema.json); those given here win over it.")
  var thresholds: String?

  @OptionGroup(title: "Limits")
  var limits: Limits

  @OptionGroup(title: "Limits on MTP layers in place of those")
  var mtpLimits: MTPLimits

  @Option(help: "Multi-token-prediction layers: keep or drop.")
  var mtp = MTPChoice.keep

  @OptionGroup
  var work: WorkOptions

  @Option(
    help: """
      Output format: text, json, junit, html or markdown. The HTML page has plots by position, \
      layer, expert and type; for its sake --isolate is taken as given where REFERENCE is a model.
      """)
  var format = VerifyFormat.text

  @OptionGroup
  var output: ReportOptions

  @Option(
    help: ArgumentHelp(
      """
      Write a further report to a file, from the same run: junit=FILE, html=FILE, markdown=FILE, \
      json=FILE or text=FILE. May be given several times.
      """, valueName: "format=file"))
  var report: [ReportFile] = []

  @OptionGroup
  var unknown: UnknownOptions

  @OptionGroup(title: "Many machines")
  var division: ResultPartOptions

  @OptionGroup
  var fetched: CacheOption

  @OptionGroup
  var links: LinkOptions

  var held: CacheOption? { fetched }

  var models: [String] { [reference] + candidates }

  func validate() throws {
    for option in limitOptions {
      guard let expected = Threshold.objection(to: option.limit) else { continue }
      throw ValidationError("\(option.limit) is no limit for --\(option.name): \(expected)")
    }
    try checkRecording()
    try division.parts.refuse(record, "--record", "keeps a sample of all positions at once")
    try division.parts.refuse(blame, "--blame", "goes back to the states of all tokens")
    let reports =
      output.output != nil || format != .text || !report.isEmpty || thresholds != nil
      || !limitOptions.isEmpty
    if division.parts.part != nil, reports {
      throw ValidationError(
        "limits, --thresholds, --format, --report and -o go with --finish: a part has no report")
    }
    guard (1...1000).contains(blameCount) else {
      throw ValidationError("--blame-count takes a number from 1 to 1000")
    }
  }

  private func checkRecording() throws {
    guard record else {
      guard !candidates.isEmpty else {
        throw ValidationError("Missing expected argument '<candidates>'")
      }
      if blame, candidates.count > 1 {
        throw ValidationError("--blame takes one candidate at a time")
      }
      if blame, runtime != nil {
        throw ValidationError("--blame measures weights: it does not go with --as")
      }
      return
    }
    guard candidates.isEmpty else { throw ValidationError("--record takes a reference alone") }
    guard input.chosen != nil, output.output != nil else {
      throw ValidationError("--record needs --tokens or --text, and -o")
    }
    guard (1...4096).contains(keep) else {
      throw ValidationError("--keep takes a number from 1 to 4096")
    }
    let others =
      !limitOptions.isEmpty || thresholds != nil || isolate || blame || !report.isEmpty
      || runtime != nil
    guard !others else { throw ValidationError("--record measures nothing: there is no candidate") }
  }

  func run() throws {
    if record { return try recordBaseline() }
    let clock = Stopwatch()
    let inputs = InputPlaces(models: [reference] + candidates, files: input.files + [thresholds])
    if let part = try division.parts.choice() { return try run(part, sparing: inputs) }
    let destination = try output.destination(sparing: inputs)
    let reports = try report.map { file throws(Fault) in
      let path = try OutputPath.report(
        file.name, overwrite: output.overwrite, sparing: inputs)
      return (file.format, ReportDestination(file: path))
    }
    try ReportDestination.requireDistinct([destination] + reports.map(\.1))
    Interruption.listen()
    var line = ProgressLine(work.progress, unit: .layers)
    defer { line.clear() }
    let request = try request()
    let result =
      try division.folder.map { folder throws(Fault) in
        try VerifyParts(request).merged(in: folder)
      } ?? VerifyReports(request, forecast: announce) { line.show($0, of: $1) }
    line.clear()
    for (format, destination) in reports + [(format, destination)] {
      let isFile = destination.file != nil
      try destination.write(
        isFile
          ? Terminal.wide { format.text(of: result, clock) } : format.text(of: result, clock))
    }
    if result.verdict == .fail { throw ExitCode(1) }
  }

  private func run(_ part: PartChoice, sparing inputs: InputPlaces) throws {
    Interruption.listen()
    let parts = try VerifyParts(request())
    let numbers = try division.numbersPlace(of: part, parts.results, sparing: inputs)
    let place = try division.place(of: part, parts.results, sparing: inputs)
    let done = try ProgressLine.during(work.progress, unit: .layers) { report throws(Fault) in
      try parts.run(part, numbers: numbers, to: place, forecast: announce, progress: report)
    }
    try ResultPartOptions.say(part, done, "compared", place)
  }

  private func announce(_ forecast: Forecast) {
    forecast.announce(work.progress)
  }

  private func recordBaseline() throws {
    guard let path = output.output, let input = input.chosen else { return }
    let destination = try OutputPath.report(
      path, overwrite: output.overwrite, replacing: Baseline.replaceable,
      sparing: InputPlaces(models: [reference], files: self.input.files))
    Interruption.listen()
    var line = ProgressLine(work.progress, unit: .layers)
    defer { line.clear() }
    var request = RecordRequest(reference: reference, input: input)
    request.keep = keep
    request.mtp = mtp == .keep
    request.threads = work.threads
    request.memory = memory?.bytes
    request.ignoresUnknown = unknown.ignoreUnknown
    let baseline = try Baseline(request, forecast: announce) { line.show($0, of: $1) }
    line.clear()
    let size = try baseline.write(to: destination)
    try Console.write("output \(path): \(Quantity.bytes(size)), \(baseline.summary)\n")
  }

  private func request() throws(Fault) -> VerifyRequest {
    var request = VerifyRequest(reference: reference, candidates: candidates)
    request.input = input.chosen
    let file = try thresholds.map(ThresholdFile.read) ?? []
    request.thresholds = Threshold.merged(file, overriddenBy: limitOptions)
    request.isolatesModels = ([format] + report.map(\.format)).contains(.html)
    request.isolates = isolate || request.thresholds.contains { $0.measure == .maxLayerOwnNMSE }
    request.blameCount = blame ? blameCount : nil
    request.memory = memory?.bytes
    request.mtp = mtp == .keep
    request.threads = work.threads
    request.ignoresUnknown = unknown.ignoreUnknown
    request.runtime = runtime
    return request
  }

  private var limitOptions: [Threshold] {
    let given: [(Threshold.Measure, Threshold.Scope, Double?)] = [
      (.maxKL, .main, limits.maxKl), (.minTop1, .main, limits.minTop1),
      (.maxNMSE, .main, limits.maxNmse),
      (.maxPerplexityRatio, .main, limits.maxPerplexityRatio),
      (.maxKL, .mtp, mtpLimits.mtpMaxKl), (.minTop1, .mtp, mtpLimits.mtpMinTop1),
      (.maxNMSE, .mtp, mtpLimits.mtpMaxNmse),
      (.maxPerplexityRatio, .mtp, mtpLimits.mtpMaxPerplexityRatio),
      (.maxLayerNMSE, .layers, limits.maxLayerNmse),
      (.maxLayerOwnNMSE, .layers, limits.maxLayerOwnNmse),
      (.minRouterAgreement, .layers, limits.minRouterAgreement),
      (.minMTPAcceptance, .drafts, mtpLimits.minMtpAcceptance),
    ]
    return given.compactMap { measure, scope, limit in
      limit.map { Threshold(measure, scope, limit: $0) }
    }
  }
}

extension VerifyCommand {
  /// Limits on the main model's logits, and on those of MTP layers that have none of their own.
  struct Limits: ParsableArguments {
    @Option(help: "Most mean KL divergence of candidate from reference, in nats.")
    var maxKl: Double?

    @Option(help: "Least share of positions with the same top token, from 0 to 1.")
    var minTop1: Double?

    @Option(help: "Most normalized mean squared error of the logits.")
    var maxNmse: Double?

    @Option(help: "Most perplexity of the candidate over the reference's on the tokens.")
    var maxPerplexityRatio: Double?

    @Option(help: "Most NMSE of the hidden states after any layer.")
    var maxLayerNmse: Double?

    @Option(help: "Most NMSE of what any layer makes of the reference's hidden states.")
    var maxLayerOwnNmse: Double?

    @Option(help: "Least share of expert choices in common in any layer, from 0 to 1.")
    var minRouterAgreement: Double?
  }

  /// Other limits on the logits of MTP layers; the worst layer counts.
  struct MTPLimits: ParsableArguments {
    @Option(help: "As --max-kl.")
    var mtpMaxKl: Double?

    @Option(help: "As --min-top1.")
    var mtpMinTop1: Double?

    @Option(help: "As --max-nmse.")
    var mtpMaxNmse: Double?

    @Option(help: "As --max-perplexity-ratio.")
    var mtpMaxPerplexityRatio: Double?

    @Option(
      help: """
        Least share of an MTP layer's first choices that are the main model's too, from 0 to 1: what \
        speculative decoding keeps of its drafts.
        """)
    var minMtpAcceptance: Double?
  }
}
