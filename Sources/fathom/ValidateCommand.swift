internal import ArgumentParser
internal import Conversion
internal import Formats
internal import Inspection
internal import Models
internal import Parts
internal import Platform
internal import Reports
internal import Verification

struct ValidateCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Check that a checkpoint is whole and is what its config says.",
    usage: "fathom validate <model> [--deep] [<options>]",
    discussion: """
      Checks names, shapes, types, scale grids, shard files and the index against what config.json \
      implies. Exit code 0: valid; 1: invalid; 65: a file cannot be parsed at all.

        fathom validate DeepSeek-V3 --deep
        fathom validate V3-bf16 --manifest
      """)

  @Argument(help: ModelArgument.help)
  var model: String

  @Flag(help: "Also read every weight: NaN, Inf, zero rows, bad scales, copies that differ.")
  var deep = false

  @Flag(
    help: """
      Also compare every byte of every file with the manifest that fathom convert wrote with the \
      model; what lies in the folder beside those files is an error. The manifest's own hash is \
      printed.
      """)
  var manifest = false

  @Option(
    help: ArgumentHelp("Compare with this manifest, wherever it lies.", valueName: "file"))
  var manifestFile: String?

  @Option(
    help: ArgumentHelp(
      """
      Refuse a manifest that has not this BLAKE3, as fathom convert printed it: a manifest that \
      lies with a model may have been made anew with it.
      """, valueName: "blake3"))
  var manifestHash: String?

  @OptionGroup
  var work: WorkOptions

  @OptionGroup
  var printed: FormatOption

  @OptionGroup(title: "Many machines")
  var division: ResultPartOptions

  @OptionGroup
  var fetched: CacheOption

  @OptionGroup
  var links: LinkOptions

  var held: CacheOption? { fetched }

  var models: [String] { [model] }

  func validate() throws {
    if division.parts.isUsed {
      guard deep, !manifest, manifestFile == nil else {
        throw ValidationError(
          "--part and --finish divide what --deep reads: they go with it, and not with --manifest")
      }
      if division.parts.part != nil, printed.format == .json {
        throw ValidationError("--format json goes with --finish: a part has no report")
      }
    }
    guard let manifestHash else { return }
    guard manifest || manifestFile != nil else {
      throw ValidationError("--manifest-hash goes with --manifest or --manifest-file")
    }
    guard BLAKE3Value(text: manifestHash) != nil else {
      throw ValidationError("--manifest-hash takes 64 hexadecimal digits")
    }
  }

  private func expected() throws(Fault) -> ManifestFile? {
    if let manifestFile { return try ManifestFile(path: manifestFile) }
    guard manifest else { return nil }
    let place = try ManifestName.place(forModel: model)
    return try ManifestFile(place.folder.open(place.name))
  }

  func run() throws {
    // Before anything is read: what is named wrongly is said at once.
    let manifest = try expected()
    if let manifest, let expected = manifestHash.flatMap({ BLAKE3Value(text: $0) }),
      manifest.hash != expected
    {
      Console.error(
        "fathom: \(manifest.path): is another manifest: expected BLAKE3 \(expected.text), found "
          + "\(manifest.hash.text)")
      throw ExitCode(1)
    }
    let part = try division.parts.choice()
    if deep { ReadingMeter.show(work.progress) }
    defer { ReadingMeter.clear() }
    if let part {
      let parts = try ScanParts(model: model, threads: work.threads)
      let place = try division.place(
        of: part, parts.results, sparing: InputPlaces(models: [model]))
      try parts.run(part, to: place)
      ReadingMeter.clear()
      return try ResultPartOptions.say(part, "weights looked at", place)
    }
    var validation =
      try division.folder.map { folder throws(Fault) in
        try ScanParts(model: model, threads: work.threads).merged(in: folder)
      } ?? Validation(path: model, deep: deep, threads: work.threads)
    if let manifest {
      validation = try validation.checked(against: manifest, model: model, threads: work.threads)
    }
    ReadingMeter.clear()
    try Console.write(printed.format == .json ? validation.json.printed() + "\n" : validation.text)
    if let malformation = validation.malformation { throw malformation }
    if !validation.isValid { throw ExitCode(1) }
  }
}
