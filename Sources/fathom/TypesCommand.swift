internal import ArgumentParser
internal import Catalogue
internal import Inspection
internal import Models
internal import Platform

struct TypesCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "types",
    abstract: "List the types and mixes that a conversion can be given, with bits and loss.",
    usage: "fathom types [<target>] [<options>]",
    discussion: """
      Of every name that --quant takes: the bits of a weight, exact by the layout of its blocks; for \
      llama.cpp's mixes the mean over a model's tensors and what they are made of; what is lost of \
      normally distributed weights; whether an importance matrix is needed.

        fathom types gguf
        fathom types gguf --model DeepSeek-V3
      """)

  @Argument(
    help: ArgumentHelp(
      "A target of fathom convert: \(Catalogue.names.joined(separator: ", ")); all without it.",
      valueName: "target"))
  var target: String?

  @Option(
    help: ArgumentHelp(
      "Weigh mixes on the tensors of this model, or of a config.json alone; without it on those of \(ReferenceModel.name).",
      valueName: "model"))
  var model: String?

  @OptionGroup
  var printed: FormatOption

  @OptionGroup
  var report: ReportOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [model].compactMap(\.self) }

  func validate() throws {
    guard let target, !Catalogue.names.contains(where: { $0 == target.lowercased() }) else {
      return
    }
    let meant = Suggestion.nearest(to: target, in: Catalogue.names).map { "did you mean \($0)? " }
    throw ValidationError(
      "'\(target)' is no target: \(meant ?? "")There are "
        + Catalogue.names.joined(separator: ", "))
  }

  func run() throws {
    let destination = try report.destination(sparing: InputPlaces(models: [model]))
    let catalogue = try Catalogue(
      targets: target.map { [$0.lowercased()] } ?? Catalogue.names, of: config(),
      called: model.map { Folder.name(of: $0).text } ?? ReferenceModel.name)
    try destination.write(
      printed.format == .json ? catalogue.json.printed() + "\n" : catalogue.text)
  }

  /// The config that mixes are weighed on.
  private func config() throws(Fault) -> ModelConfig {
    guard let model else { return try ReferenceModel.config() }
    let opened = try InspectedModel(path: model, threads: Workers.available, decodes: false)
    guard let config = opened.inspection.config else {
      throw Fault(
        .malformed, "is of a network that is not known, so that no mix can be weighed on it",
        file: model, expected: "a model of the DeepSeek family")
    }
    return config
  }
}
