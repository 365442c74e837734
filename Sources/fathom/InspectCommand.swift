internal import ArgumentParser
internal import Conversion
internal import Dialects
internal import Formats
internal import Inspection
internal import Pages
internal import Platform
internal import Reports
package import Serving
internal import Tensors
internal import Verification
internal import Weights

struct InspectCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what is in a checkpoint, from its headers alone.",
    usage: "fathom inspect <model> [<options>]",
    discussion: """
      Weights are read with --stats only. Tables come in text and JSON, one of them as lines of tsv \
      or jsonl; the HTML page has those of layers and tensors, and with --stats that of weights.

        fathom inspect DeepSeek-V3
        fathom inspect DeepSeek-V3 --context 32768 --devices 8x80GB
      """)

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
    defaultAsFlag: "*",
    help: ArgumentHelp(
      "List keys of the metadata that match, of GGUF or safetensors files; all without a pattern.",
      valueName: "glob"))
  var metadata: String?

  @Option(
    help: ArgumentHelp(
      "Say what one more token costs after so many: operations, those of an indexer, cache.",
      valueName: "tokens"))
  var context: Int?

  @Option(
    help: ArgumentHelp(
      "With --context: say what serving so many sequences takes, weights and caches.",
      valueName: "sequences"))
  var batch: Int?

  @Option(
    help: ArgumentHelp(
      """
      With --context: say what fits on such devices, as 8x80GB, divided by tensor and by expert \
      parallelism; \(Devices.usedPercent) % of each are used.
      """, valueName: "NxSIZE"))
  var devices: Devices?

  @OptionGroup
  var work: WorkOptions

  @Option(help: "Output format: text, json or html; for one table tsv or jsonl.")
  var format = Format.text

  @OptionGroup
  var report: ReportOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [model] }

  /// Documents for people or for programs.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text, json, html, tsv, jsonl
  }

  func validate() throws {
    if let context, !(1...1 << 30).contains(context) {
      throw ValidationError("--context is a number of tokens from 1 to \(1 << 30)")
    }
    if let batch, !(1...Serving.limits.batch).contains(batch) {
      throw ValidationError("--batch is a number of sequences from 1 to \(Serving.limits.batch)")
    }
    if context == nil, batch != nil || devices != nil {
      throw ValidationError("--batch and --devices go with --context")
    }
    let tables = [layers, experts, tensors != nil, metadata != nil, stats]
    if format == .html, tables.dropLast().contains(true) {
      throw ValidationError(
        "--layers, --experts, --tensors and --metadata go with text and json")
    }
    // Statistics of tensors that match are one table.
    let count = tables.count { $0 } - (stats && tensors != nil ? 1 : 0)
    if format == .tsv || format == .jsonl, count != 1 {
      throw ValidationError(
        "--format \(format.rawValue) is of one table: --layers, --experts, --tensors, --metadata or "
          + "--stats")
    }
  }

  /// Whether a pattern is about any tensor, under the file's names or Hugging Face's.
  private func matches(_ glob: Glob, _ model: InspectedModel) -> Bool {
    model.inspection.tensors.isEmpty
      || model.inspection.tensors.contains { glob.matches($0.name.text) }
      || stats && (model.weights?.weights.all ?? []).contains { glob.matches($0.name.text) }
  }

  func run() throws {
    let clock = Stopwatch()
    let destination = try report.destination(sparing: InputPlaces(models: [model]))
    let opened = try InspectedModel(path: model, threads: work.threads, decodes: stats)
    var inspection = opened.inspection
    (inspection.context, inspection.batch, inspection.devices) = (context, batch, devices)
    if batch != nil || devices != nil, !inspection.canTellServing {
      throw Fault(
        .malformed, "cannot be told what serving takes: the bytes of its parts are not known",
        file: model, expected: "a network and a storage of weights that are read")
    }
    let (glob, keys) = (tensors.map(Glob.init), metadata.map(Glob.init))
    if let tensors, let glob, !matches(glob, opened) {
      throw Fault(
        .usage, "--tensors matches no tensor", file: model, expected: "a pattern for names",
        found: tensors)
    }
    if let metadata, let keys, !inspection.metadata.isEmpty,
      !inspection.metadata.contains(where: { keys.matches($0.key) })
    {
      throw Fault(
        .usage, "--metadata matches no key", file: model, expected: "a pattern for keys",
        found: metadata)
    }
    if stats { ReadingMeter.show(work.progress) }
    defer { ReadingMeter.clear() }
    let rows = try opened.weights.flatMap { source throws(Fault) in
      stats
        ? try WeightStatistics.rows(
          of: source.weights, matching: format == .html ? Glob("*") : glob, threads: work.threads)
        : nil
    }
    ReadingMeter.clear()
    let names = opened.files
    switch format {
    case .html:
      var origin = PageOrigin(CommandLine.arguments, clock)
      if let files = opened.weights?.checkpoint {
        let hash = ModelHash(model, files.inventory, config: files.config)
        origin.hashes = [("model", hash.text)]
      }
      let page = inspection.page(
        title: Folder.name(of: model).text, origin: origin, statistics: rows)
      try destination.write(OutputText(document: page))
    case .json:
      let json = inspection.json(listing: glob, metadata: keys, files: names, statistics: rows)
      try destination.write(json.printed() + "\n")
    case .tsv, .jsonl:
      let listing = listing(inspection, glob, keys, names, rows)
      try destination.write { piece throws(Fault) in
        if format == .tsv {
          try listing.writeTSV(piece)
        } else {
          try listing.writeJSONLines(piece)
        }
      }
    case .text:
      var sections: [OutputText] = []
      if layers { sections.append(inspection.layerTable) }
      if experts { sections.append(inspection.expertTable) }
      if let glob { sections.append(inspection.tensorTable(matching: glob, files: names)) }
      if let keys { sections.append(inspection.metadataTable(matching: keys)) }
      if let rows { sections.append(WeightStatistics.table(rows)) }
      if sections.isEmpty { sections = [inspection.text] }
      try destination.write(sections.joined(separator: "\n"))
    }
    // Ends here while everything is alive: the system frees it at once, where letting go of 92,000
    // names one by one takes a fifth of the whole run.
    withExtendedLifetime(opened) { Console.exit(0) }
  }

  /// The one table that was asked for.
  private func listing(
    _ inspection: Inspection, _ glob: Glob?, _ keys: Glob?, _ files: [ExactText],
    _ rows: [(name: ExactText, statistics: WeightStatistics)]?
  ) -> Listing {
    if let rows { return WeightStatistics.listing(rows) }
    if layers { return inspection.layerListing }
    if experts { return inspection.expertListing }
    if let keys { return inspection.metadataListing(matching: keys) }
    return inspection.tensorListing(matching: glob ?? Glob("*"), files: files)
  }
}

extension Devices: ExpressibleByArgument {
  /// Reads `8x80GB`.
  package init?(argument: String) { self.init(argument) }
}
