import Foundation

/// The built command, run as a user would.
package struct FathomProcess {
  /// Exit code; 128 + the signal's number where a signal ended it.
  package let status: Int32
  /// Standard output.
  package let output: String
  /// Standard error.
  package let messages: String
  /// The most bytes that were in memory at any time, as far as looks every few milliseconds show it;
  /// 0 where nobody looked.
  package let peakMemory: Int

  /// Runs `fathom` with arguments and waits for it.
  package init(_ arguments: String...) throws { try self.init(arguments) }

  /// Runs `fathom` with arguments and waits for it.
  package init(_ arguments: [String], environment: [String: String] = [:]) throws {
    try self.init(arguments, environment: environment, outputPath: nil)
  }

  /// Runs another program from `folder` and waits for it.
  package init(
    program: String, _ arguments: [String], environment: [String: String], folder: String
  ) throws {
    try self.init(
      arguments, environment: environment, outputPath: nil, program: program, folder: folder)
  }

  /// Runs `fathom` with its standard output on a device that is always full.
  package static func toFullDevice(_ arguments: [String]) throws -> FathomProcess {
    try FathomProcess(arguments, environment: [:], outputPath: "/dev/full")
  }

  /// Runs `fathom` with arguments, or another program, and watches its memory.
  ///
  /// - Parameter processorSeconds: what it may work before the system ends it; nil for as long as it
  ///   likes.
  package static func watchingMemory(
    _ arguments: [String], program: String = FathomProcess.path, processorSeconds: Int? = nil
  ) throws -> FathomProcess {
    guard let processorSeconds else {
      return try FathomProcess(
        arguments, environment: [:], outputPath: nil, program: program, watchesMemory: true)
    }
    let limited = ["-c", "ulimit -t \(processorSeconds); exec \"$@\"", "sh", program]
    return try FathomProcess(
      limited + arguments, environment: [:], outputPath: nil, program: "/bin/sh",
      watchesMemory: true)
  }

  private init(
    _ arguments: [String], environment: [String: String], outputPath: String?,
    program: String = FathomProcess.path, folder: String? = nil,
    watchesMemory: Bool = false
  ) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    // Files rather than pipes: nothing can block, however much is printed.
    let workspace = try Workspace()
    let out = try outputPath ?? workspace.write("out", [])
    let err = try workspace.write("err", [])
    process.standardOutput = FileHandle(forWritingAtPath: out)
    process.standardError = FileHandle(forWritingAtPath: err)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    peakMemory = watchesMemory ? FathomProcess.watch(process) : 0
    process.waitUntilExit()
    status =
      process.terminationReason == .uncaughtSignal
      ? 128 + process.terminationStatus : process.terminationStatus
    output = outputPath == nil ? String(decoding: try contents(out), as: UTF8.self) : ""
    messages = String(decoding: try contents(err), as: UTF8.self)
  }

  /// Looks until the end, and returns the largest peak that was seen: what the system tells of a
  /// child that has ended begins with the memory of the process that started it.
  ///
  /// Nor does a look count while the child still runs in this process's memory: `vfork` lets the
  /// parent go on a moment before the child has its own.
  private static func watch(_ process: Process) -> Int {
    let folder = "/proc/\(process.processIdentifier)"
    func program(_ folder: String) -> String? {
      try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/exe")
    }
    let own = program("/proc/self")
    var peak = 0
    while process.isRunning {
      if let running = program(folder), running != own {
        let text = (try? String(contentsOfFile: folder + "/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let number = line?.split(separator: "\t").last?.split(separator: " ").first
        peak = max(peak, (number.flatMap { Int($0) } ?? 0) << 10)
      }
      usleep(3000)
    }
    return peak
  }

  /// The command beside the test bundle.
  package static let path = program(named: "fathom")

  /// A `PATH` on which a shell finds the command first.
  package static let searchPath =
    URL(fileURLWithPath: path).deletingLastPathComponent().path + ":"
    + (ProcessInfo.processInfo.environment["PATH"] ?? "")

  /// An executable beside the test bundle.
  package static func program(named name: String) -> String {
    let runner = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    let bundle = URL(fileURLWithPath: CommandLine.arguments.first ?? runner.path)
    let candidates = [bundle, runner].map { $0.deletingLastPathComponent().path + "/" + name }
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0) } ?? candidates[0]
  }
}
