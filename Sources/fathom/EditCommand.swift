internal import ArgumentParser
internal import Editing
internal import Formats
internal import Platform
internal import Reports

struct EditCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "edit",
    abstract: "Change metadata of a GGUF or safetensors file; its tensors stay as they are.",
    usage: """
      fathom edit <model> --set <key=type:value> ...
        [--set-file <key=file> ...] [--remove <key> ...]
        [<options>]
      """,
    discussion: """
      Where the new metadata fit before the tensors they are exchanged in place, the old bytes lying \
      beside the file until all is written. Otherwise a new file is written and takes the name in the \
      end, so that a failure leaves the old one as it was. Of a set of splits the first has the \
      metadata.

        fathom edit v3-q4.gguf --set general.name=str:V3 --dry-run
        fathom edit v3-q4.gguf --remove general.name -o renamed.gguf
      """)

  @Argument(help: "A GGUF file, a .safetensors file, or a folder that holds one of them.")
  var model: String

  @Option(
    help: ArgumentHelp(
      """
      Set a key; may be repeated. Types: \(MetadataChange.typeNames.joined(separator: ", ")), or one \
      in brackets with a list in JSON: general.tags=[str]:["moe"].
      """, valueName: "key=type:value"))
  var set: [String] = []

  @Option(
    help: ArgumentHelp(
      "Set a key to the text of a file, such as a chat template; may be repeated.",
      valueName: "key=file"))
  var setFile: [String] = []

  @Option(help: ArgumentHelp("Take a key away; may be repeated.", valueName: "key"))
  var remove: [String] = []

  @Flag(
    help: """
      Change keys that decide how the file is read, keys that nobody knows, and types that readers \
      expect; what could not be read again is refused all the same.
      """)
  var force = false

  @Flag(help: "Show what would change, and write nothing.")
  var dryRun = false

  @Option(name: .shortAndLong, help: "Write the result to this file, and leave the model as it is.")
  var output: String?

  @Flag(help: "Replace an output that exists.")
  var overwrite = false

  @OptionGroup
  var printed: FormatOption

  @Option(help: "Progress on standard error: auto, always or never.")
  var progress = ProgressLine.Mode.auto

  @OptionGroup
  var links: LinkOptions

  /// What lies elsewhere cannot be changed.
  var models: [String] { [] }

  func validate() throws {
    if set.isEmpty, setFile.isEmpty, remove.isEmpty {
      throw ValidationError("fathom edit takes --set, --set-file or --remove")
    }
    if overwrite, output == nil { throw ValidationError("--overwrite goes with -o") }
    do {
      _ = try asked()
    } catch {
      throw ValidationError("a change \(error.description)")
    }
  }

  /// The changes whose values stand on the command line.
  private func asked() throws(Fault) -> [MetadataChange] {
    var changes: [MetadataChange] = []
    for text in set { changes.append(try MetadataChange(parsing: text)) }
    for key in remove { changes.append(try MetadataChange(removing: key)) }
    for text in setFile { _ = try MetadataText(parsing: text) }
    return changes
  }

  func run() throws {
    var changes = try asked()
    for text in setFile { changes.append(try MetadataText(parsing: text).change()) }
    if !dryRun, try MetadataEdit.recover(model) {
      Console.message(
        "fathom: warning: an edit of \(model) was cut off: its old metadata were put back first")
    }
    let edit = try MetadataEdit(
      model, changes, isForced: force, nearest: { Suggestion.nearest(to: $0, in: $1) })
    for line in edit.forced { Console.message("fathom: warning: forced: \(line)") }
    let way = output == nil ? edit.way : .newFile
    let report = EditReport(edit, output: output ?? edit.path, way: way, isDryRun: dryRun)
    if !dryRun { try write(edit, way) }
    try Console.write(printed.format == .json ? report.json.printed() + "\n" : report.text)
  }

  private func write(_ edit: MetadataEdit, _ way: MetadataEdit.Way) throws(Fault) {
    switch way {
    case .none: return
    case .inPlace: try edit.writeInPlace()
    case .newFile:
      let place: OutputPath
      if let output {
        let inputs = InputPlaces(models: [model])
        place = try .model(output, overwrite: overwrite, sparing: inputs)
      } else {
        place = try OutputPath(edit.path, overwrite: true, replacing: .model)
      }
      try ProgressLine.during(progress) { report throws(Fault) in
        try edit.write(to: place, progress: report)
      }
    }
    try warnOfManifest(edit.path)
  }

  /// A manifest speaks of the bytes as they were.
  private func warnOfManifest(_ path: String) throws(Fault) {
    guard output == nil, let place = try? ManifestName.place(forModel: path),
      (try? place.folder.find(place.name)) != nil
    else { return }
    Console.message(
      "fathom: warning: \(place.name) is of the file as it was: validate --manifest will say so")
  }
}
