internal import Dialects
internal import Formats
package import Platform

/// By which command a conversion was begun, and what it reads and writes: what a person has to know
/// to go on with it. It has no say in whether work fits a plan; that is `ConversionIdentity`'s.
package struct ConversionOrigin: Sendable, Hashable {
  /// A file of weights that is written.
  package struct File: Sendable, Hashable {
    /// Its name.
    package let name: ExactText
    /// Its size when it is complete.
    package let byteCount: Int
  }

  /// The folder of the source.
  package let source: String
  /// The output.
  package let output: String
  /// The output's files of weights, in the order of the plan.
  package let files: [File]
  /// The command's arguments, its name left out; empty where no command began it.
  package let command: [String]
  /// The folder in which the command was given.
  package let folder: String
  /// Bytes of all files of weights.
  package let byteCount: Int

  /// What a plan reads and writes.
  init(_ plan: Plan, _ source: SourceModel, to destination: OutputPath, command: [String]) {
    self.init(
      folder: source.checkpoint.folder, to: destination,
      files: plan.layout.files.map { File(name: $0.name, byteCount: $0.byteCount) },
      command: command)
  }

  /// What is read of a model in a folder, and written.
  package init(folder source: String, to destination: OutputPath, files: [File], command: [String])
  {
    self.source = Folder.resolved(source)
    output = destination.path
    self.files = files
    self.command = command
    folder = Folder.resolved(".")
    byteCount = files.reduce(0) { $0 + $1.byteCount }
  }

  /// The members that it adds to the head of a journal.
  var json: JSONObject {
    [
      "from": .string(source), "to": .string(output), "in": .string(folder),
      "command": .array(command.map { .string($0) }),
      "files": .array(
        files.map { .object(["name": .string($0.name.text), "bytes": .integer($0.byteCount)]) }),
    ]
  }

  /// Reads them; nil where they are none, or make no sense.
  init?(line: JSONValue) {
    guard case .string(let source) = line["from"], case .string(let output) = line["to"],
      case .string(let folder) = line["in"], case .array(let words) = line["command"],
      case .array(let items) = line["files"]
    else { return nil }
    var files: [File] = []
    var total = 0
    for item in items {
      guard case .string(let name) = item["name"], case .integer(let size) = item["bytes"],
        size >= 0
      else { return nil }
      let (sum, overflow) = total.addingReportingOverflow(size)
      if overflow { return nil }
      total = sum
      files.append(File(name: ExactText(name), byteCount: size))
    }
    var command: [String] = []
    for word in words {
      guard case .string(let text) = word else { return nil }
      command.append(text)
    }
    self.source = source
    self.output = output
    self.folder = folder
    self.command = command
    self.files = files
    byteCount = total
  }
}
