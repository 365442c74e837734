import Foundation
import Support
import Testing

/// What the command prints as JSON is what its schemas promise.
@Suite struct SchemaTests {
  private func expectValid(_ arguments: [String], _ schema: String, status: Int32 = 0) throws {
    let run = try FathomProcess(arguments)
    #expect(run.status == status, "\(run.messages)")
    let faults = try JSONSchema(named: schema).faults(in: JSONDocument(run.output))
    #expect(faults.isEmpty, "\(faults)")
  }

  @Test(arguments: Repository.sampleNames)
  func inspections(sample: String) throws {
    let path = "\(Repository.samples)/\(sample)"
    try expectValid(["inspect", path, "--format", "json"], "fathom.inspect.1")
    try expectValid(["inspect", path, "--format", "json", "--tensors"], "fathom.inspect.1")
  }

  @Test(arguments: MalformedTests.names)
  func validations(name: String) throws {
    let path = "\(MalformedTests.folder)/\(name)"
    let status = try FathomProcess("validate", path, "--deep").status
    try expectValid(
      ["validate", path, "--deep", "--format", "json"], "fathom.validate.1", status: status)
  }

  @Test func theCheckerSeesFaults() throws {
    let schema = try JSONSchema(named: "fathom.validate.1")
    let sound = """
      {"schema": "fathom.validate/1", "verdict": "valid", "findings": [],
       "checked": {"tensors": 1, "bytes": 2, "deep": false}}
      """
    #expect(try schema.faults(in: JSONDocument(sound)).isEmpty)
    for (part, other) in [
      ("\"valid\"", "\"perhaps\""), ("1", "-1"), ("1,", "1.5,"), ("false", "0"), ("[]", "{}"),
      ("\"verdict\"", "\"verdicts\""), ("[]", "[{}]"),
    ] {
      let broken = sound.replacingOccurrences(of: part, with: other)
      #expect(try !schema.faults(in: JSONDocument(broken)).isEmpty, "\(part) → \(other)")
    }
  }
}
