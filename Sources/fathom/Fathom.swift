internal import ArgumentParser
internal import Platform

@main
struct FathomCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fathom",
    abstract: "Inspect, validate, convert, verify and compare DeepSeek-V3-family checkpoints.",
    version: FathomVersion.text,
    subcommands: [
      InspectCommand.self, ValidateCommand.self, ConvertCommand.self, LogitsCommand.self,
      VerifyCommand.self, DiffCommand.self, HashCommand.self,
      PackCommand.self, UnpackCommand.self,
    ])

  /// Runs the command and turns faults into the contract's exit codes: one line on standard error.
  static func main() {
    Launch.occupyStandardDescriptors()
    Console.endOnClosedPipe()
    OutputFile.meetLimits()
    Descriptors.raiseLimit()
    do {
      try Launch.requireReadableArguments()
      var command = try parseAsRoot()
      let links = (command as? any ModelReading)?.links.rule ?? .withinFolder
      try LinkRule.$current.withValue(links) { try command.run() }
    } catch let fault as Fault {
      end(with: fault)
    } catch {
      end(with: error)
    }
  }

  private static func end(with fault: Fault) -> Never {
    Console.message("fathom: \(fault)")
    if let advice = fault.advice { Console.message("fathom: \(advice.printable)") }
    Console.exit(fault.kind.exitCode)
  }

  /// Ends by what the parser of arguments has to say: help and version are results, which nobody may
  /// take for given where they could not be written.
  private static func end(with error: any Error) -> Never {
    let (code, text) = (exitCode(for: error), fullMessage(for: error))
    if !text.isEmpty, code.isSuccess {
      do throws(Fault) { try Console.write(text + "\n") } catch { end(with: error) }
    } else if !text.isEmpty {
      Console.message(text)
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
