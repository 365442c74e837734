internal import ArgumentParser
internal import Calibration
internal import Conversion
internal import Formats
internal import Parts
internal import Passes
internal import Platform
internal import Reports

struct ImatrixCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "imatrix",
    abstract: "Measure what a model's weights are multiplied with: an importance matrix.",
    usage: """
      fathom imatrix <model> --text <file> [<options>]
      fathom imatrix <model> --tokens <file> [<options>]
      fathom imatrix --merge <file> ... [<options>]
      """,
    discussion: """
      Runs the model in F32, from whatever format it is stored in, and writes the sums of squares of \
      every matrix's inputs, for each expert apart, in llama-imatrix's format, for \
      "fathom convert --imatrix" and llama-quantize. MTP layers are measured too. Files of several \
      runs can be added up: --merge.

        fathom imatrix DeepSeek-V3 --text book.txt -o imatrix.gguf
        fathom imatrix DeepSeek-V3 --text book.txt -o whole.gguf --resume
        fathom imatrix --merge imatrix.gguf other.gguf -o both.gguf
        fathom imatrix DeepSeek-V3 --tokens ids.json --part 2/2 --parts work
        fathom imatrix DeepSeek-V3 --tokens ids.json --finish --parts work -o all.gguf
      """)

  @Option(name: .shortAndLong, help: "The file to write.")
  var output = "imatrix.gguf"

  @Argument(help: ModelArgument.help)
  var model: String?

  @OptionGroup(title: "Input")
  var input: InputOptions

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      """
      Importance matrices of other runs or of llama-imatrix, to be added. Without a model they are \
      added to each other.
      """, valueName: "file"))
  var merge: [String] = []

  @Option(
    help: """
      Tokens of a text that are run together, as llama-imatrix's --ctx-size; what fills no chunk at \
      the text's end is left out. Default: 512.
      """)
  var chunkSize: Int?

  @Flag(help: "Measure the head too, as llama-imatrix does with the same option.")
  var processOutput = false

  @Option(help: "The file's format: gguf, or llama-imatrix's older dat.")
  var outputFormat = MatrixFormat.gguf

  @Option(help: "Multi-token-prediction layers: keep or drop.")
  var mtp = MTPChoice.keep

  @Option(
    help: """
      Memory that the process may take. Hidden states that do not fit wait in a scratch file beside \
      the output. Default: 1GB, or more where one sequence is too long for it.
      """)
  var memory: ByteSize?

  @Flag(help: "Replace an output that exists, once the new one is complete.")
  var overwrite = false

  @Flag(
    help: """
      Go on with what an earlier run of the same command left when it was interrupted; where it left \
      nothing, begin.
      """)
  var resume = false

  @Option(
    help: ArgumentHelp(
      """
      Keep what was measured after every so many layers, for --resume; 0 for never. Default: as often \
      as costs a fiftieth of the time, and never in a run of seconds.
      """, valueName: "layers"))
  var keepEvery: Int?

  @OptionGroup
  var printed: FormatOption

  @OptionGroup
  var work: WorkOptions

  @OptionGroup
  var unknown: UnknownOptions

  @OptionGroup(title: "Many machines")
  var division: ResultPartOptions

  @OptionGroup
  var fetched: CacheOption

  @OptionGroup
  var links: LinkOptions

  var held: CacheOption? { fetched }

  var models: [String] { [model].compactMap(\.self) }

  func validate() throws {
    if division.parts.part != nil, !merge.isEmpty || printed.format == .json {
      throw ValidationError("--merge and --format json go with --finish: a part writes no matrix")
    }
    if resume, division.parts.isUsed {
      throw ValidationError("--resume goes with one run: a part goes on when it is run again")
    }
    if let keepEvery, keepEvery < 0 {
      throw ValidationError("--keep-every takes a number of layers, or 0")
    }
    if let chunkSize, !(1...1 << 20).contains(chunkSize) {
      throw ValidationError("--chunk-size takes a number from 1 to \(1 << 20)")
    }
    guard model != nil else {
      guard !merge.isEmpty else { throw ValidationError("Missing expected argument '<model>'") }
      guard input.chosen == nil, !division.parts.isUsed else {
        throw ValidationError("--tokens, --text, --part and --finish need a model to be run")
      }
      guard !resume, keepEvery == nil else {
        throw ValidationError("--resume and --keep-every need a model to be run")
      }
      return
    }
    if input.chosen == nil { throw ValidationError("one of --tokens and --text is needed") }
    if chunkSize != nil, input.text == nil {
      throw ValidationError("--chunk-size goes with --text: token ids come in sequences")
    }
  }

  func run() throws {
    let inputs = InputPlaces(models: [model], files: input.files + merge)
    if let model, let part = try division.parts.choice() {
      return try run(part, of: model, sparing: inputs)
    }
    let destination = try OutputPath.report(
      output, overwrite: overwrite, orFinished: resume, replacing: .importance, sparing: inputs)
    let merging = try ImportanceMerge(paths: merge)
    guard let model else {
      var request = ImatrixRequest(
        sequences: [], chunkSize: chunkSize ?? merging.chunkSize ?? Self.customaryChunk)
      request.format = outputFormat.output
      return try say(merging.write(request, to: destination), notes: [])
    }
    let files = try files(of: model)
    let (request, notes) = try request(for: files)
    if let folder = division.folder {
      let report = try ImatrixParts(files, request).finish(
        in: folder, merging: merging, to: destination)
      return try say(report, notes: files.notes + notes + request.notes(of: files))
    }
    let run = try ImatrixRun(files, request, merging: merging)
    announce(run)
    let report = try ProgressLine.during(work.progress, unit: .layers) { report throws(Fault) in
      try run.write(to: destination, progress: report)
    }
    try say(report, notes: files.notes + notes + request.notes(of: files))
  }

  private func run(_ part: PartChoice, of model: String, sparing inputs: InputPlaces) throws {
    let files = try files(of: model)
    let parts = try ImatrixParts(files, request(for: files).request)
    let numbers = try division.numbersPlace(of: part, parts.results, sparing: inputs)
    let place = try division.place(of: part, parts.results, sparing: inputs)
    let done = try ProgressLine.during(work.progress, unit: .layers) { report throws(Fault) in
      try parts.run(
        part, numbers: numbers, to: place, announce: announce, progress: report)
    }
    try ResultPartOptions.say(part, done, "measured", place, output: "matrix")
  }

  private func announce(_ run: ImatrixRun) {
    run.forecast?.announce(work.progress)
    guard work.progress != .never, let text = run.keepingText else { return }
    Console.message("fathom: \(text)")
  }

  private func files(of model: String) throws(Fault) -> ModelFiles {
    try ModelFiles(path: model, threads: work.threads, ignoresUnknown: unknown.ignoreUnknown)
  }

  /// Tokens of a chunk where nobody says otherwise, as of llama-imatrix.
  private static let customaryChunk = 512

  private func request(
    for files: ModelFiles
  ) throws(Fault) -> (request: ImatrixRequest, notes: [String]) {
    var request = ImatrixRequest(sequences: [], chunkSize: chunkSize ?? Self.customaryChunk)
    var notes: [String] = []
    if let chosen = input.chosen {
      (request.sequences, notes) = try chosen.read(for: files, chunkSize: request.chunkSize)
    }
    if input.text == nil { request.chunkSize = max(1, request.sequences.map(\.count).max() ?? 1) }
    request.dataset = input.text
    request.mtp = mtp == .keep
    request.output = processOutput
    request.threads = work.threads
    request.memory = memory?.bytes
    request.format = outputFormat.output
    request.resumes = resume
    request.keepEvery = keepEvery
    request.command = Array(CommandLine.arguments.dropFirst())
    return (request, notes)
  }

  private func say(_ report: ImatrixReport, notes: [String]) throws(Fault) {
    guard printed.format == .text else {
      return try Console.write(report.json(notes: notes).printed() + "\n")
    }
    for note in notes { try Console.write("note: \(note)\n") }
    try Console.write(report.text)
  }
}

/// The formats that an importance matrix is written in.
enum MatrixFormat: String, ExpressibleByArgument, CaseIterable {
  case gguf, dat

  var output: ImportanceOutput.Format { self == .gguf ? .gguf : .dat }
}
