internal import ArgumentParser
package import Platform

/// How a command speaks to people.
struct TerminalOptions: ParsableArguments {
  @Flag(
    help: "Leave warnings, words about the work and progress out; errors are said all the same.")
  var quiet = false

  @Option(
    help:
      "Colours of verdicts and severities: auto (on a terminal, unless NO_COLOR is set), always or never."
  )
  var color = Console.ColourMode.auto

  /// Makes the console do so.
  func apply() {
    if quiet { Console.beQuiet() }
    Console.useColours(color)
  }
}

extension Console.ColourMode: ExpressibleByArgument {}
