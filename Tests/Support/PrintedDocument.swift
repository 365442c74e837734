/// A command that ended otherwise than a test expects, or printed what its schema forbids.
package struct UnexpectedOutput: Error, CustomStringConvertible {
  /// The command, and what it did.
  package let description: String
}

extension JSONDocument {
  /// What a command prints with `--format json`, once it ended with `status` and its schema holds;
  /// `UnexpectedOutput` otherwise.
  package init(printedBy arguments: [String], schema: String, status: Int32 = 0) throws {
    let run = try FathomProcess(arguments + ["--format", "json"])
    let command = arguments.joined(separator: " ")
    guard run.status == status else {
      throw UnexpectedOutput(
        description: "\(command): exit \(run.status), not \(status): \(run.messages)")
    }
    try self.init(run.output)
    let faults = try JSONSchema(named: schema).faults(in: self)
    guard faults.isEmpty else {
      throw UnexpectedOutput(description: "\(command): against \(schema): \(faults)")
    }
  }
}
