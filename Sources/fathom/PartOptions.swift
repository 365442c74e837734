internal import ArgumentParser
internal import Conversion
internal import Formats
internal import Parts
internal import Platform
internal import Remote
internal import Reports

/// One command's work divided among many runs, on as many machines.
struct PartOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Do part K of N: 3/16. Run each K, at the same time or not, where all see the output's folder; \
      a part that was interrupted goes on when it is run again. auto takes K and N from a Slurm array, \
      auto/N takes K from it or from a Kubernetes Indexed Job.
      """, valueName: "k/n"))
  var part: String?

  @Flag(help: "Check the parts and make one output of them.")
  var finish = false

  func validate() throws {
    if part != nil, finish { throw ValidationError("--part and --finish do not go together") }
  }

  /// Whether the command's work is divided.
  var isUsed: Bool { part != nil || finish }

  /// The part that is asked for; nil for none.
  func choice() throws(Fault) -> PartChoice? {
    try part.map { argument throws(Fault) in
      let choice = try PartChoice(argument, variable: Variables.text)
      if let origin = choice.origin {
        Console.message("fathom: part \(choice.text), by \(origin)")
      }
      return choice
    }
  }

  /// Refuses an option that parts cannot have.
  func refuse(_ isGiven: Bool, _ option: String, _ reason: String) throws {
    guard isUsed, isGiven else { return }
    throw ValidationError("\(option) \(reason): it does not go with --part and --finish")
  }
}

/// How `convert` is divided, whose parts write into the hidden folder of the work.
struct ConvertPartOptions: ParsableArguments {
  @OptionGroup
  var parts: PartOptions

  @Option(
    name: .customLong("parts"),
    help: ArgumentHelp(
      """
      With --finish: a folder with parts that were not written into the output's folder, as machines \
      that share none have them: where --part wrote, or one that has several such in it. They are \
      copied; repeat it for more.
      """, valueName: "folder"))
  var folders: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help: """
      With --finish: compare every byte that the parts wrote with what they noted of it. Without, only \
      sizes and journals are looked at, and bytes that are copied from --parts.
      """)
  var readBack = true

  func validate() throws {
    guard !parts.finish else { return }
    if !readBack { throw ValidationError("--no-read-back goes with --finish") }
    if !folders.isEmpty {
      throw ValidationError(
        "convert --parts goes with --finish: a part writes into a hidden folder beside OUTPUT")
    }
  }
}

/// A command whose parts leave what they found in files, since it has no output to leave it in.
struct ResultPartOptions: ParsableArguments {
  @OptionGroup
  var parts: PartOptions

  @Option(
    name: .customLong("parts"),
    help: ArgumentHelp(
      "Where the parts leave what they found, and --finish looks for it.", valueName: "folder"))
  var folder: String?

  func validate() throws {
    guard parts.isUsed == (folder != nil) else {
      throw ValidationError(
        "--part and --finish take --parts FOLDER, where the parts leave what they found")
    }
  }

  /// The place of a part's file, which an earlier run of the same part may have written.
  func place(
    of part: PartChoice, _ results: PartResults, sparing inputs: InputPlaces
  ) throws(Fault) -> OutputPath {
    try .report(
      results.path(of: part, in: folder ?? "."), overwrite: true, sparing: inputs)
  }

  /// The place of a part's numbers, beside its file.
  func numbersPlace(
    of part: PartChoice, _ results: PartResults, sparing inputs: InputPlaces
  ) throws(Fault) -> OutputPath {
    try .report(
      results.numbersPath(of: part, in: folder ?? "."), overwrite: true,
      replacing: PartNumbers.replaceable, sparing: inputs)
  }

  /// Says what a part has done.
  ///
  /// - Parameter output: what is made of all parts.
  static func say(
    _ part: PartChoice, _ what: String, _ place: OutputPath, output: String = "report"
  ) throws(Fault) {
    try Console.write(
      "part \(part.text): \(what) in \(place.path); when all parts are there, --finish makes one "
        + "\(output) of them\n")
  }

  /// Says on what sequences a part has run.
  static func say(
    _ part: PartChoice, _ done: (sequences: Int, tokens: Int), _ what: String, _ place: OutputPath,
    output: String = "report"
  ) throws(Fault) {
    let (tokens, sequences) = (
      Quantity.plural(done.tokens, "token"), Quantity.plural(done.sequences, "sequence")
    )
    try say(part, "\(tokens) of \(sequences) \(what)", place, output: output)
  }
}
