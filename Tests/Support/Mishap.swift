import Foundation

/// What goes wrong with one call of the system in a run of the command; see `Tests/Mishaps`.
package struct Mishap {
  /// What happens: an error number, or one of the words that the library knows.
  package var kind: String
  /// Which call it happens at, counted from 1 on.
  package var call: Int
  /// Whether all later calls of its kind fail too.
  package var stays = false
  /// The calls of one name alone are counted.
  package var name: String?
  /// The file that it happens to.
  package var target: String?
  /// What the paths of the calls that are counted begin with.
  package var counted: String?

  /// Names a mishap.
  package init(
    _ kind: String, at call: Int, stays: Bool = false, name: String? = nil,
    target: String? = nil, counted: String? = nil
  ) {
    self.kind = kind
    self.call = call
    self.stays = stays
    self.name = name
    self.target = target
    self.counted = counted
  }

  /// The environment of a run in which it happens to files below `folder`.
  package func environment(below folder: String) -> [String: String] {
    var environment = Mishap.watching(folder)
    environment["MISHAP_KIND"] = kind
    environment["MISHAP_AT"] = "\(call)"
    environment["MISHAP_STAYS"] = stays ? "1" : nil
    environment["MISHAP_NAME"] = name
    environment["MISHAP_TARGET"] = target
    environment["MISHAP_COUNTED"] = counted
    return environment
  }

  /// The environment of a run in which nothing happens but that calls are logged.
  package static func watching(_ folder: String, log: String? = nil) -> [String: String] {
    var environment = ["LD_PRELOAD": library, "MISHAP_UNDER": folder]
    environment["MISHAP_LOG"] = log
    return environment
  }

  /// The library, which `scripts/mishaps` compiles: once in a process, when the first test needs it.
  private static let library: String = {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Repository.root + "/scripts/mishaps")
    let pipe = Pipe()
    process.standardOutput = pipe
    do { try process.run() } catch { fatalError("scripts/mishaps cannot be run: \(error)") }
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    // Without it nothing would go wrong, and tests of failures would hold nothing.
    guard process.terminationStatus == 0 else { fatalError("scripts/mishaps has failed") }
    return String(decoding: output, as: UTF8.self).trimmingCharacters(in: .newlines)
  }()
}
