import Foundation
import Support
import Testing

/// Headers of more tensors than any checkpoint has.
@Suite struct HostileCountTests {
  @Test func findingsAreToldApartWithinBounds() throws {
    let workspace = try Workspace()
    let sound = Repository.samples + "/malformed/none"
    try workspace.write("config.json", contents(sound + "/config.json"))
    let count = 30_000
    // No two alike: letters, as numbers would be left open.
    let names = (0..<count).map { number in
      String(number).map { String(UnicodeScalar(UInt8(ascii: "a") + UInt8(String($0))!)) }.joined()
    }
    let entries = names.enumerated().map {
      "\"\($1)\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\($0),\($0 + 1)]}"
    }
    let header = Array("{\(entries.joined(separator: ","))}".utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    try workspace.write(
      "model.safetensors", length + header + [UInt8](repeating: 0, count: count))
    let report = try JSONDocument(
      printedBy: ["validate", workspace.path], schema: "fathom.validate.1", status: 1)
    let findings = report.list("findings")
    #expect((10_000...10_100).contains(findings.count))
    let unexpected = findings.filter { $0.string("rule") == "unexpected-tensor" }
    #expect(unexpected.compactMap { $0.integer("count") }.reduce(0, +) == count)
    #expect(unexpected.last?.string("hint")?.contains("counted together") == true)
  }
}
