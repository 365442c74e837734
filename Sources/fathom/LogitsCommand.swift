internal import ArgumentParser
internal import Formats
internal import Models
internal import Passes
internal import Platform
internal import Reports

struct LogitsCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract:
      "Compute a model's logits on given tokens or text, in F32, layer by layer from the files.",
    usage: """
      fathom logits <model> --tokens <file> [<options>]
      fathom logits <model> --text <file> [<options>]
      """,
    discussion: """
      Writes a safetensors file with "logits" [batch, tokens, vocab] and, for MTP layers, \
      "mtp_logits" [batch, tokens - 1, vocab], "mtp_logits_2" [batch, tokens - 2, vocab] and so on. \
      Position t of "mtp_logits" predicts token t + 2.

        fathom logits DeepSeek-V3 --tokens ids.json -o logits.safetensors
        fathom logits DeepSeek-V3 --text book.txt -o book.safetensors
      """)

  @Argument(help: ModelArgument.help)
  var model: String

  @OptionGroup(title: "Input")
  var input: InputOptions

  @Option(name: .shortAndLong, help: "The file to write.")
  var output = "logits.safetensors"

  @Option(help: "Multi-token-prediction layers: keep or drop.")
  var mtp = MTPChoice.keep

  @Option(
    name: .customLong("as"),
    help: """
      Round as a runtime does: llama.cpp, deepseek-fp8 or mlx; see `fathom verify --help`. Default: \
      F32 alone.
      """)
  var runtime: RuntimeArithmetic?

  @OptionGroup
  var work: WorkOptions

  @Flag(
    help: """
      Say on standard error where the time went: for each stage of the pass seconds, the rate of its \
      products, and the shares of products, of unpacking and reading weights, of writing logits, of \
      all other work and of threads that waited.
      """)
  var profile = false

  @Option(
    help: """
      Memory that the process may take; the result does not depend on it. Default: 1GB, or more \
      where the sequences are too long for it.
      """)
  var memory: ByteSize?

  @Flag(help: "Replace an output that exists, once the new one is complete.")
  var overwrite = false

  @OptionGroup
  var unknown: UnknownOptions

  @OptionGroup
  var fetched: CacheOption

  @OptionGroup
  var links: LinkOptions

  var held: CacheOption? { fetched }

  var models: [String] { [model] }

  func validate() throws {
    if input.chosen == nil { throw ValidationError("one of --tokens and --text is needed") }
  }

  func run() throws {
    let destination = try OutputPath.report(
      output, overwrite: overwrite, replacing: .logits,
      sparing: InputPlaces(models: [model], files: input.files))
    let files = try ModelFiles(
      path: model, threads: work.threads, ignoresUnknown: unknown.ignoreUnknown)
    guard let (sequences, notes) = try input.chosen?.read(for: files) else { return }
    let run = try LogitsRun(
      files, sequences: sequences, mtp: mtp == .keep, threads: work.threads, memory: memory?.bytes,
      runtime: runtime, isProfiled: profile)
    run.forecast?.announce(work.progress)
    let written = try ProgressLine.during(work.progress, unit: .layers) { report throws(Fault) in
      try run.write(to: destination, progress: report)
    }
    for line in written.profile?.lines ?? [] { Console.message(line) }
    for note in files.notes + notes { try Console.write("note: \(note)\n") }
    for (index, draft) in written.drafts.enumerated() where draft.positions > 0 {
      let share = Quantity.attained(Double(draft.kept) / Double(draft.positions))
      try Console.write(
        "drafts of MTP layer \(index + 1) that the main model would choose: \(share) of "
          + "\(Quantity.count(draft.positions))\n")
    }
    let shapes = written.tensors.map { "\($0.name) \($0.shape)" }.joined(separator: ", ")
    try Console.write("output \(output): \(shapes)\n")
  }
}

/// Whether MTP layers take part.
enum MTPChoice: String, ExpressibleByArgument, CaseIterable {
  case keep, drop
}
