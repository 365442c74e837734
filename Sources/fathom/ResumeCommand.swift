internal import ArgumentParser
internal import Conversion
internal import Pages
internal import Platform
internal import Verification

struct ResumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume",
    abstract: "Say what an interrupted conversion or imatrix has left, and how it goes on.",
    usage: "fathom resume <folder> [--status] [<options>]",
    discussion: """
      Prints the command that goes on with unfinished work; it is not run, since it may come from \
      somebody else's folder. With --status it says what was begun, how much of it is safe, which \
      files of the source are deleted, whether the folder holds the only copy of something, and \
      what the choices are. Nothing is changed.

        fathom resume --status v3-half.gguf
        fathom resume v3-half.gguf
      """)

  @Argument(help: "The output's name, or the hidden folder .NAME.fathom-part of the work.")
  var folder: String

  @Flag(help: "Say everything that is known of it.")
  var status = false

  @Option(help: "Output format of --status: text or json.")
  var format = OutputFormat.text

  func validate() throws {
    guard status || format == .text else {
      throw ValidationError("--format json goes with --status")
    }
  }

  func run() throws {
    let work = try UnfinishedWork(at: folder)
    if status {
      return try Console.write(format == .json ? work.json.printed() + "\n" : work.text)
    }
    guard let command = work.command else {
      var fault = Fault(
        .cannotCreate, "cannot go on", file: work.folder,
        expected: "unfinished work whose journal says what was begun",
        found: work.problems.first ?? "what is of no more use")
      fault.advice = work.choices.joined(separator: "; ")
      throw fault
    }
    try Console.write(OutputText(document: command + "\n"))
  }
}
