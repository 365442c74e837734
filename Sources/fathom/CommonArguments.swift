internal import ArgumentParser
internal import Formats
internal import Platform
internal import Reports

/// What all commands say of a MODEL argument and of threads.
enum ModelArgument {
  static let help = ArgumentHelp(stringLiteral: words(beginning: "A"))

  /// What a model can be, a sentence from its article on.
  static func words(beginning article: String) -> String {
    """
    \(article) checkpoint folder (config.json and *.safetensors; an MLX model and DeepSeek's shards too), one \
    .safetensors file in it, a GGUF file or a folder of its splits, or a model's root in the Hugging \
    Face cache; hf://ORG/NAME[@REVISION], or ORG/NAME where nothing here is called so; s3://BUCKET/FOLDER; \
    an https address.
    """
  }

  /// Refuses a number of threads that no machine has.
  static func check(threads: Int) throws {
    guard (1...1024).contains(threads) else {
      throw ValidationError("--threads takes a number from 1 to 1024")
    }
  }
}

/// Which links in a model's folder are followed.
struct LinkOptions: ParsableArguments {
  @Flag(
    help: """
      Follow symbolic links that lead out of a model's folder, for weights and for files beside them: \
      for links that you have made. Without it only those of the Hugging Face cache are followed.
      """)
  var followLinks = false

  // Every command that reads models has these two groups.
  @OptionGroup
  var terminal: TerminalOptions

  /// What that means to whoever opens a folder.
  var rule: LinkRule { followLinks ? .anywhere : .withinFolder }
}

/// What becomes of tensors and keys that may belong to the network and are not known.
struct UnknownOptions: ParsableArguments {
  @Flag(
    help: """
      Go on where a model holds tensors or config keys that may belong to its network and that Fathom \
      does not know; the report names them. Without it they stop the command: what is computed or \
      written would be another network.
      """)
  var ignoreUnknown = false
}

/// A command that reads models.
protocol ModelReading {
  /// MODEL arguments.
  var models: [String] { get }
  var links: LinkOptions { get }
  /// What is kept of models that lie elsewhere; nil for a command that reads nothing twice.
  var held: CacheOption? { get }
}

extension ModelReading {
  var held: CacheOption? { nil }
}

/// What a command that may read weights more than once keeps of those that lie elsewhere.
struct CacheOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Most bytes of a model on a server that are kept on this machine's disk until the command ends, in \
      a file without a name in TMPDIR or /var/tmp: weights that are read again, for another group of \
      sequences say, are not fetched again.
      """, valueName: "size"))
  var cache: ByteSize?
}

/// Documents for people or for programs.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json
}

/// Where a report goes: standard output, or a file that appears complete or not at all.
struct ReportOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "Write the report to this file; - is standard output.")
  var output: String?

  @Flag(help: "Replace a file that exists.")
  var overwrite = false

  /// The place, which is refused before any work is done.
  ///
  /// - Parameter inputs: what the run reads: none of it is replaced.
  func destination(sparing inputs: InputPlaces) throws(Fault) -> ReportDestination {
    guard let output, RawName(output) != RawName("-") else { return ReportDestination(file: nil) }
    // A file has no colours, and lines as long as they are.
    Console.useColours(.never)
    Terminal.beWide()
    return ReportDestination(
      file: try .report(output, overwrite: overwrite, sparing: inputs))
  }
}

extension InputPlaces {
  /// What a command reads.
  ///
  /// - Parameters:
  ///   - models: MODEL arguments.
  ///   - files: further files, where they are given.
  init(models: [String?], files: [String?] = []) {
    self.init()
    for model in models.compactMap(\.self) { add(model: model) }
    for file in files.compactMap(\.self) { add(file: file) }
  }
}

extension OutputPath {
  /// A place for a report, or for what else is no part of a model.
  static func report(
    _ path: String, overwrite: Bool, orFinished: Bool = false,
    replacing: Replaceable = .report, sparing inputs: InputPlaces
  ) throws(Fault) -> OutputPath {
    let place = try OutputPath(
      path, overwrite: overwrite, orFinished: orFinished, replacing: replacing, sparing: inputs)
    try place.requireNoPartOfModel()
    place.sayLeftovers()
    return place
  }

  /// A place for a model: a folder, or files.
  static func model(
    _ path: String, overwrite: Bool, orFinished: Bool = false, sparing inputs: InputPlaces
  ) throws(Fault) -> OutputPath {
    let place = try OutputPath(
      path, overwrite: overwrite, orFinished: orFinished, replacing: .model, sparing: inputs)
    try place.requireApart()
    place.sayLeftovers()
    return place
  }

  private func sayLeftovers() {
    for line in leftovers { Console.message("fathom: warning: \(line.printable)") }
  }
}

/// A place that takes one report.
struct ReportDestination {
  let file: OutputPath?

  /// Refuses two reports for one file, however its path is spelled.
  static func requireDistinct(_ reports: [ReportDestination]) throws(Fault) {
    var paths: Set<ExactText> = []
    for path in reports.compactMap({ $0.file?.path }) where !paths.insert(ExactText(path)).inserted
    {
      throw Fault(.usage, "every report needs a file of its own", file: path)
    }
  }

  func write(_ text: OutputText) throws(Fault) {
    try write { piece throws(Fault) in try piece(text) }
  }

  /// Takes a report in pieces, few of which are in memory at a time.
  func write(
    _ report: (_ piece: (OutputText) throws(Fault) -> Void) throws(Fault) -> Void
  ) throws(Fault) {
    let output = try file.map { path throws(Fault) in try AtomicFile(at: path) }
    var pending = [OutputText]()
    var size = 0
    func flush() throws(Fault) {
      let text = pending.joined()
      if let output {
        try output.file.append(Array(text.text.utf8))
      } else {
        try Console.write(text)
      }
      (pending, size) = ([], 0)
    }
    try report { piece throws(Fault) in
      pending.append(piece)
      size += piece.text.utf8.count
      if size > 1 << 16 { try flush() }
    }
    try flush()
    try output?.commit()
  }
}

/// What commands that read whole models say of threads and progress.
struct WorkOptions: ParsableArguments {
  @Option(help: "Threads to work with; the result does not depend on it.")
  var threads = Workers.available

  @Option(help: "Progress on standard error: auto, always or never.")
  var progress = ProgressLine.Mode.auto

  func validate() throws { try ModelArgument.check(threads: threads) }
}

/// The form of what is printed, for commands that know text and JSON alone.
struct FormatOption: ParsableArguments {
  @Option(help: "Output format: text or json.")
  var format = OutputFormat.text
}

extension ProgressLine {
  /// Does work that reports how far it is, shows that, and lets Ctrl-C end it cleanly.
  static func during<Result>(
    _ mode: Mode, unit: Unit = .bytes,
    _ work: (_ report: (_ done: Int, _ total: Int) -> Void) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    Interruption.listen()
    var line = ProgressLine(mode, unit: unit)
    defer { line.clear() }
    return try work { line.show($0, of: $1) }
  }
}
