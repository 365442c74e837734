internal import ArgumentParser

@main
struct Fathom: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fathom",
    abstract: "Inspect, validate, convert and verify DeepSeek-V3-family checkpoints.")
}
