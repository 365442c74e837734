internal import ArgumentParser
internal import Formats
internal import Models
internal import Platform
internal import Verification

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what is in a checkpoint, from its headers alone.")

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

  @Option(help: "Threads to read with.")
  var threads = Workers.available

  @Option(help: "Output format: text or json.")
  var format = OutputFormat.text

  func validate() throws {
    try ModelArgument.check(threads: threads)
  }

  func run() throws {
    let checkpoint = try Checkpoint(path: model, threads: threads)
    let path = Folder.join(checkpoint.folder, "config.json")
    let config = try DeepSeekV3Config(json: checkpoint.config, file: path)
    guard case .string(let architecture)? = checkpoint.config["model_type"] else {
      throw Fault(.malformed, "has no model_type", file: path)
    }
    let inspection = Inspection(checkpoint, config: config, architecture: architecture)
    let files = checkpoint.inventory.shards.map(\.name)
    if format == .json {
      let json = inspection.json(listing: tensors.map(Glob.init), files: files)
      try Console.write(json.text() + "\n")
      return
    }
    var sections: [String] = []
    if layers { sections.append(inspection.layerTable) }
    if experts { sections.append(inspection.expertTable) }
    if let tensors {
      sections.append(inspection.tensorTable(matching: Glob(tensors), files: files))
    }
    if sections.isEmpty { sections = [inspection.text] }
    try Console.write(sections.joined(separator: "\n"))
  }
}
