import Support
import Testing

extension JSONDocument {
  /// What a command prints with `--format json`: it ends with `status`, and the schema holds.
  init(
    printedBy arguments: [String], schema: String, status: Int32 = 0,
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let run = try FathomProcess(arguments + ["--format", "json"])
    #expect(run.status == status, "\(run.messages)", sourceLocation: location)
    try self.init(run.output)
    let faults = try JSONSchema(named: schema).faults(in: self)
    #expect(faults.isEmpty, "\(faults)", sourceLocation: location)
  }
}
