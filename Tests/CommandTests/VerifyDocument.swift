import Support
import Testing

/// Runs `fathom verify` for its JSON, which its schema admits.
func verifyDocument(
  _ arguments: [String], status: Int32 = 0, _ place: SourceLocation = #_sourceLocation
) throws -> JSONDocument {
  let run = try FathomProcess(["verify"] + arguments + ["--format", "json"])
  #expect(run.status == status, "\(run.messages)", sourceLocation: place)
  let document = try JSONDocument(run.output)
  let faults = try JSONSchema(named: "fathom.verify.1").faults(in: document)
  #expect(faults.isEmpty, "\(faults)", sourceLocation: place)
  return document
}
