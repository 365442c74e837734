internal import ArgumentParser
internal import Platform

@main
struct FathomCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fathom",
    abstract: "Inspect, validate, convert, verify and compare DeepSeek-V3-family checkpoints.",
    version: FathomVersion.text,
    subcommands: [
      InspectCommand.self, ValidateCommand.self, ConvertCommand.self, ResumeCommand.self,
      LogitsCommand.self,
      VerifyCommand.self, DiffCommand.self, HashCommand.self,
      PackCommand.self, UnpackCommand.self,
    ])

  /// Runs the command and turns faults into the contract's exit codes: one line on standard error.
  static func main() {
    Console.endOnClosedPipe()
    OutputFile.meetLimits()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let fault as Fault {
      Console.message("fathom: \(fault)")
      if let advice = fault.advice { Console.message("fathom: \(advice.printable)") }
      Console.exit(fault.kind.exitCode)
    } catch {
      exit(withError: error)
    }
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
