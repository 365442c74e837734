internal import ArgumentParser
internal import Calibration
internal import Dialects
internal import Formats
internal import Pages
internal import Passes
internal import Platform
internal import Reports

struct RecipeCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "recipe",
    abstract: "Choose the types of a model's tensors by measurement, for a size or a loss.",
    usage: """
      fathom recipe <model>
        (--bpw <bpw> | --size <size> | --max-kl <max-kl>)
        (--text <file> | --tokens <file>) [<options>]
      """,
    discussion: """
      Measures what each group of tensors (attention with compressors and indexer, shared experts, \
      routed experts by matrix, embedding, head, what weighs residual streams, the largest of them by \
      matrices and ranges of layers, down to single tensors) loses in each type, as KL divergence on a \
      text, and chooses the types that lose least together within the size. The recipe holds the \
      evidence and goes to "fathom convert --recipe" with the same --to. MTP layers get the types of \
      the last layers; GGUF files of DeepSeek-V4 have none.

        fathom recipe DeepSeek-V3 --bpw 5 --text book.txt -o 5.json
        fathom recipe DeepSeek-V3 --bpw 4 --text book.txt --evidence 5.json -o 4.json
        fathom recipe DeepSeek-V3 --to mlx --bpw 6 --text book.txt -o mlx.json
      """)

  @Option(name: .shortAndLong, help: "The recipe to write.")
  var output = "recipe.json"

  @Argument(help: ModelArgument.help)
  var model: String

  @Option(help: "Format that it is for: gguf, mlx or compressed-tensors.")
  var to = RecipeTarget.gguf

  @Option(help: "Bits per weight of the file at most.")
  var bpw: Double?

  @Option(help: "Size of the file's tensors at most: 160GB.")
  var size: ByteSize?

  @Option(help: "Mean KL divergence at most, in nats; the file is then as small as can be.")
  var maxKl: Double?

  @OptionGroup(title: "Input")
  var input: InputOptions

  @Option(help: "Tokens of a text that are run together.")
  var chunkSize = 512

  @Option(help: "Importance matrix, as of fathom imatrix; types below three bits need one.")
  var imatrix: String?

  @Option(
    help: ArgumentHelp(
      """
      Types to choose from, with commas between: q4_k,q5_k,iq3_s. Default: Q2_K, Q3_K, IQ4_XS, Q4_K, \
      Q5_K, Q6_K and Q8_0, with an importance matrix IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS and \
      IQ3_S too, MXFP4 or NVFP4 for what is stored so and loses nothing in it, and F32 for what weighs \
      DeepSeek-V4's residual streams and for places in its compressed keys. For mlx 2bit to 8bit, in \
      other groups than of 64 as 4bit-g32, mxfp4, mxfp8, nvfp4, bf16; default: 2bit, 2bit-g32, 3bit, \
      mxfp4, 4bit, 5bit, 6bit and 8bit. For compressed-tensors the schemes of fathom types, and plain \
      for modules that no scheme is for; default: int4-g128, int4-g32, nvfp4, int8-channel, fp8-block \
      and plain.
      """, valueName: "list"))
  var types: String?

  @Option(
    help: ArgumentHelp(
      "A recipe of the same model, text and matrix, whose measurements are not repeated.",
      valueName: "file"))
  var evidence: String?

  @Option(
    help: """
      Groups of tensors at most, but one for each kind at least; the time grows with them.
      """)
  var groups = 20

  @Option(help: "Memory that the process may take. Default: 1GB, or more where that does not do.")
  var memory: ByteSize?

  @Flag(help: "Replace an output that exists, once the new one is complete.")
  var overwrite = false

  @Option(
    help: ArgumentHelp(
      """
      Write an HTML page too: KL divergence against bits per weight, of the best choices of all sizes \
      and of the standard mixes of llama-quantize or mlx-lm, which are measured for it; the recipe \
      then has these numbers as well.
      """, valueName: "file"))
  var page: String?

  @Option(help: "What is printed: a table, or the recipe as JSON.")
  var format = OutputFormat.text

  @OptionGroup
  var work: WorkOptions

  @OptionGroup
  var unknown: UnknownOptions

  @OptionGroup
  var fetched: CacheOption

  @OptionGroup
  var links: LinkOptions

  var held: CacheOption? { fetched }

  var models: [String] { [model] }

  func validate() throws {
    guard [bpw != nil, size != nil, maxKl != nil].filter(\.self).count == 1 else {
      throw ValidationError("one of --bpw, --size and --max-kl is needed")
    }
    if let bpw, !(bpw > 0 && bpw <= 64) { throw ValidationError("--bpw takes a number up to 64") }
    if let maxKl, !(maxKl > 0 && maxKl.isFinite) {
      throw ValidationError("--max-kl takes a number above 0")
    }
    guard input.chosen != nil else { throw ValidationError("one of --tokens and --text is needed") }
    guard (1...1 << 20).contains(chunkSize) else {
      throw ValidationError("--chunk-size takes a number from 1 to \(1 << 20)")
    }
    guard (4...1000).contains(groups) else {
      throw ValidationError("--groups takes a number from 4 to 1000")
    }
    if imatrix != nil, to != .gguf { throw ValidationError("--imatrix goes with --to gguf") }
  }

  func run() throws {
    let clock = Stopwatch()
    let inputs = InputPlaces(models: [model], files: input.files + [imatrix, evidence])
    let destination = ReportDestination(
      file: try OutputPath.report(output, overwrite: overwrite, sparing: inputs))
    let pagePlace = try page.map { name throws(Fault) in
      ReportDestination(
        file: try OutputPath.report(name, overwrite: overwrite, sparing: inputs))
    }
    try ReportDestination.requireDistinct([destination] + (pagePlace.map { [$0] } ?? []))
    let files = try ModelFiles(
      path: model, threads: work.threads, ignoresUnknown: unknown.ignoreUnknown)
    guard let (sequences, notes) = try input.chosen?.read(for: files, chunkSize: chunkSize) else {
      return
    }
    var request = RecipeRequest(
      sequences: sequences, text: input.text ?? input.tokens ?? "", goal: goal)
    request.target = to
    request.types = types?.split(separator: ",").map(String.init)
    request.drawsCurve = page != nil
    request.groups = groups
    request.importance = try imatrix.map { path throws(Fault) in try ImportanceMatrix(path: path) }
    request.evidence = try evidence.map { path throws(Fault) in try RecipeEvidence(path: path) }
    request.threads = work.threads
    request.memory = memory?.bytes
    let run = try RecipeRun(model, files, request)
    run.forecast?.announce(work.progress)
    let recipe = try ProgressLine.during(work.progress, unit: .layers) { report throws(Fault) in
      try run.choose(progress: report)
    }
    try destination.write(recipe.json.printed() + "\n")
    let origin = PageOrigin(CommandLine.arguments, clock)
    try pagePlace?.write(OutputText(document: recipe.page(of: model, origin: origin)))
    guard format == .text else { return try Console.write(recipe.json.printed() + "\n") }
    for note in files.notes + notes + run.notes { try Console.write("note: \(note)\n") }
    try Console.write(recipe.report)
    try Console.write("output \(output)\n")
  }

  private var goal: RecipeRequest.Goal {
    if let bpw { return .bitsPerWeight(bpw) }
    return size.map { .bytes($0.bytes) } ?? .divergence(maxKl ?? 0)
  }
}

extension RecipeTarget: ExpressibleByArgument {}
