internal import ArgumentParser
internal import Dialects
internal import Platform
internal import Remote
internal import Reports

@main
struct FathomCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fathom",
    abstract: "Inspect, validate, convert, verify and compare DeepSeek-V3-family checkpoints.",
    discussion: "fathom --version --verbose names the commit, the kernels and the libraries, too.",
    version: FathomVersion.text,
    subcommands: [
      InspectCommand.self, ValidateCommand.self, ConvertCommand.self, ResumeCommand.self,
      LogitsCommand.self, VerifyCommand.self, ImatrixCommand.self, RecipeCommand.self,
      DiffCommand.self, HashCommand.self, PackCommand.self, UnpackCommand.self,
      TypesCommand.self, EditCommand.self, FetchCommand.self,
    ])

  /// Runs the command and turns faults into the contract's exit codes: one line on standard error.
  static func main() {
    Launch.occupyStandardDescriptors()
    Console.endOnClosedPipe()
    OutputFile.meetLimits()
    Descriptors.raiseLimit()
    do {
      try Launch.requireReadableArguments()
      if VersionFacts.areAsked(by: CommandLine.arguments.dropFirst()) {
        return try Console.write(VersionFacts.text)
      }
      try requireCommand(CommandLine.arguments.dropFirst().first)
      try requireTarget(CommandLine.arguments)
      var command = try parseAsRoot()
      try reachModels(of: command)
      let reading = (command as? any ModelReading)?.links
      reading?.terminal.apply()
      if isForPeople(CommandLine.arguments) { Terminal.fitTexts() }
      let links = reading?.rule ?? .withinFolder
      try LinkRule.$current.withValue(links) { try command.run() }
      Console.exit(0)
    } catch let fault as Fault {
      Console.error("fathom: \(fault)")
      if let advice = fault.advice { Console.error("fathom: \(advice)") }
      if ErrorDocument.isAsked(by: CommandLine.arguments) {
        Console.error(ErrorDocument(fault).text)
      }
      Console.exit(fault.kind.exitCode)
    } catch {
      end(with: error)
    }
  }

  /// Whether the arguments ask for text: lines of other formats stay as long as they are.
  private static func isForPeople(_ arguments: [String]) -> Bool {
    ErrorDocument.formats(in: arguments).allSatisfy { $0 == "text" }
  }

  /// Finds out which models lie elsewhere, and has said what was read of them when the program ends.
  private static func reachModels(of command: any ParsableCommand) throws(Fault) {
    for model in (command as? any ModelReading)?.models ?? [] {
      if let note = try RemoteModels.prepare(model) { Console.message("fathom: \(note)") }
    }
    if let most = (command as? any ModelReading)?.held?.cache {
      try DiskCache.shared.open(most: most.bytes)
    }
    Console.beforeExit {
      RemoteModels.finish()
      if let summary = Traffic.summary { Console.message("fathom: \(summary)") }
    }
  }

  /// Throws `.usage` where the first argument is a command with a slip in it.
  private static func requireCommand(_ word: String?) throws(Fault) {
    let names = configuration.subcommands.compactMap { $0.configuration.commandName }
    guard let word, let meant = Suggestion.nearest(to: word, in: names) else { return }
    throw Fault(.usage, "there is no command '\(word)': did you mean fathom \(meant)?")
  }

  /// Throws `.usage` where the format to write is a word with a slip in it.
  private static func requireTarget(_ arguments: [String]) throws(Fault) {
    let takers = [ConvertCommand.self, RecipeCommand.self] as [any ParsableCommand.Type]
    guard arguments.count > 1,
      takers.contains(where: { $0.configuration.commandName == arguments[1] })
    else { return }
    let words = zip(arguments, arguments.dropFirst()).filter { $0.0 == "--to" }.map(\.1)
    let names = Dialect.Target.allCases.map(\.rawValue)
    for word in words + arguments.compactMap({ ExactText($0).without(prefix: "--to=")?.text }) {
      guard let meant = Suggestion.nearest(to: word, in: names) else { continue }
      throw Fault(
        .usage,
        "there is no format '\(word)' to write: did you mean --to \(meant)? There are "
          + names.joined(separator: ", "))
    }
  }

  /// Ends as ArgumentParser would, whose messages repeat arguments as they are: here they are
  /// escaped, and help that could not be written is a fault.
  private static func end(with error: any Error) -> Never {
    let code = exitCode(for: error)
    let message = UsageMessage(fullMessage(for: error), arguments: CommandLine.arguments).text
    if code != .success {
      if isForPeople(CommandLine.arguments) { Terminal.fitTexts() }
      if !message.text.isEmpty { Console.error(message) }
      // Without a message it is a verdict, which is no error.
      if !message.text.isEmpty, ErrorDocument.isAsked(by: CommandLine.arguments) {
        Console.error(ErrorDocument(usage: FathomCommand.message(for: error)).text)
      }
      Console.exit(code.rawValue)
    }
    do throws(Fault) {
      try Console.write(message + "\n")
    } catch {
      Console.error("fathom: \(error)")
      Console.exit(error.kind.exitCode)
    }
    Console.exit(code.rawValue)
  }
}

extension Fault.Kind {
  /// The exit code that the contract gives each kind of fault.
  var exitCode: Int32 {
    switch self {
    case .usage: 64
    case .malformed: 65
    case .notFound: 66
    case .cannotCreate: 73
    case .inputOutput: 74
    case .interrupted: 130
    }
  }
}
