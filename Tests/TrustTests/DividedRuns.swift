import Support
import Testing

/// Commands whose work several runs divide.
enum DividedRuns {
  /// Runs a command with more arguments, and expects an exit code.
  @discardableResult
  static func run(
    _ command: [String], _ more: [String], status: Int32 = 0
  ) throws -> FathomProcess {
    let run = try FathomProcess(command + more)
    #expect(run.status == status, "\(more): \(run.messages)")
    return run
  }

  /// Runs all parts, the last one first, each with another number of threads.
  static func runParts(_ command: [String], _ count: Int, into folder: String) throws {
    for number in (1...count).reversed() {
      let part = ["--part", "\(number)/\(count)", "--parts", folder, "--threads", "\(number)"]
      #expect(try run(command, part).output.hasPrefix("part \(number)/\(count): "))
    }
  }
}
