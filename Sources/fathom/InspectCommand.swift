internal import ArgumentParser
internal import Conversion
internal import Dialects
internal import Formats
internal import Inspection
internal import Platform
internal import Tensors
internal import Verification
internal import Weights

struct InspectCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what is in a checkpoint, from its headers alone.",
    discussion: "Weights are read with --stats only. Tables come in text and JSON, not in HTML.")

  @Argument(help: ModelArgument.help)
  var model: String

  @Flag(help: "One line per layer.")
  var layers = false

  @Flag(help: "One line per layer with routed experts.")
  var experts = false

  @Option(
    defaultAsFlag: "*",
    help: ArgumentHelp(
      "List tensors whose names match, with type, shape and place; all without a pattern.",
      valueName: "glob"))
  var tensors: String?

  @Flag(
    help: """
      Read the weights and show smallest, largest, mean, root mean square, zeros, NaN and Inf: a \
      line for weights that differ in layer and expert alone, or with --tensors one per tensor.
      """)
  var stats = false

  @Option(
    help: ArgumentHelp(
      "Say what one more token costs after so many: operations, those of an indexer, cache.",
      valueName: "tokens"))
  var context: Int?

  @Option(help: "Threads to read with.")
  var threads = Workers.available

  @Option(help: "Output format: text, json or html.")
  var format = Format.text

  @OptionGroup
  var report: ReportOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [model] }

  /// Documents for people or for programs.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text, json, html
  }

  func validate() throws {
    try ModelArgument.check(threads: threads)
    if let context, !(1...1 << 30).contains(context) {
      throw ValidationError("--context is a number of tokens from 1 to \(1 << 30)")
    }
    if format == .html, layers || experts || stats || tensors != nil {
      throw ValidationError("--layers, --experts, --tensors and --stats go with text and json")
    }
  }

  /// Whether a pattern is about any tensor, under the file's names or Hugging Face's.
  private func matches(_ glob: Glob, _ model: InspectedModel) -> Bool {
    model.inspection.tensors.isEmpty
      || model.inspection.tensors.contains { glob.matches($0.name.text) }
      || stats && (model.weights?.weights.all ?? []).contains { glob.matches($0.name.text) }
  }

  func run() throws {
    let destination = try report.destination(sparing: InputPlaces(models: [model]))
    let opened = try InspectedModel(path: model, threads: threads, decodes: stats)
    var inspection = opened.inspection
    inspection.context = context
    let glob = tensors.map(Glob.init)
    if let tensors, let glob, !matches(glob, opened) {
      throw Fault(
        .usage, "--tensors matches no tensor", file: model, expected: "a pattern for names",
        found: tensors)
    }
    let rows = try opened.weights.flatMap { source throws(Fault) in
      stats
        ? try WeightStatistics.rows(of: source.weights, matching: glob, threads: threads) : nil
    }
    let names = opened.files
    switch format {
    case .html:
      let page = inspection.page(title: Folder.name(of: model).text)
      try destination.write(OutputText(document: page))
    case .json:
      let json = inspection.json(listing: glob, files: names, statistics: rows)
      try destination.write(json.printed() + "\n")
    case .text:
      var sections: [OutputText] = []
      if layers { sections.append(inspection.layerTable) }
      if experts { sections.append(inspection.expertTable) }
      if let glob { sections.append(inspection.tensorTable(matching: glob, files: names)) }
      if let rows { sections.append(WeightStatistics.table(rows)) }
      if sections.isEmpty { sections = [inspection.text] }
      try destination.write(sections.joined(separator: "\n"))
    }
    // Ends here while everything is alive: the system frees it at once, where letting go of 92,000
    // names one by one takes a fifth of the whole run.
    withExtendedLifetime(opened) { Console.exit(0) }
  }
}
