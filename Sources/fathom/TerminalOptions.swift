internal import ArgumentParser
package import Platform

/// How a command speaks to people.
struct TerminalOptions: ParsableArguments {
  @Flag(
    help: "Leave warnings, words about the work and progress out; errors are said all the same.")
  var quiet = false

  @Flag(
    help: """
      Say on standard error, step by step and with the seconds so far, what is done: files opened, \
      kernels, memory, work with its bytes and time.
      """)
  var verbose = false

  @Option(
    help:
      "Colours of verdicts and severities: auto (on a terminal, unless NO_COLOR is set), always or never."
  )
  var color = Console.ColourMode.auto

  func validate() throws {
    if quiet, verbose { throw ValidationError("--quiet and --verbose exclude each other") }
  }

  /// Makes the console do so.
  func apply() {
    if quiet { Console.beQuiet() }
    if verbose {
      Console.sayEveryStep()
      Console.step("started: fathom \(FathomVersion.text), kernels \(VersionFacts.kernels)")
    }
    Console.useColours(color)
  }
}

extension Console.ColourMode: ExpressibleByArgument {}
