import Conversion
import Dialects
import Foundation
import Mixes
import Platform
import Support
import Tensors
import Testing

/// Keys against llama-quantize's. Origin: `scripts/make mix-fixtures`.
@Suite struct MetadataOverrideTests {
  @Test(arguments: ["plain", "imatrix", "override"])
  func keysFollowThePeersOrder(run: String) throws {
    let path = "\(Repository.root)/Tests/ConversionTests/Fixtures/mix-metadata.json"
    let json = try JSONDocument(String(decoding: try contents(path), as: UTF8.self))
    var metadata = Metadata()
    for key in try #require(json["source"] as? [String]) { metadata[key] = .uint8(1) }
    var notes = Metadata()
    if run != "plain" {
      notes["quantize.imatrix.file"] = .string("imatrix.gguf")
      notes["quantize.imatrix.dataset"] = .string("first.txt")
      notes["quantize.imatrix.entries_count"] = .uint32(146)
      notes["quantize.imatrix.chunks_count"] = .uint32(9)
    }
    let overrides = [
      "general.name=str:other", "deepseek2.context_length=int:-7", "deepseek2.new=float:0.5",
    ]
    metadata.noteQuantization(
      as: 15,
      overrides: run == "override" ? try overrides.map { try MetadataOverride(parsing: $0) } : [],
      importance: notes)
    #expect(metadata.keys == json[run, "keys"] as? [String])
    let changed = try #require(json[run, "changed"] as? [[Any]])
    #expect(changed.count == ["plain": 1, "imatrix": 5, "override": 8][run])
    for row in changed {
      let key = try #require(row[0] as? String)
      let value = try #require(metadata[key])
      switch value {
      case .uint32(let number):
        #expect(row[1] as? String == "UINT32" && row[2] as? Int == Int(number))
      case .float32(let number):
        #expect(row[1] as? String == "FLOAT32" && row[2] as? Double == Double(number))
      case .string(let text): #expect(row[1] as? String == "STRING" && row[2] as? String == text)
      default: Issue.record("\(row)")
      }
    }
  }

  @Test(arguments: [
    ("a=int:5", MetadataValue.uint32(5)), ("a=int:-4294967295", .uint32(.max)),
    ("a=bool:true", .bool(true)), ("a=bool:false", .bool(false)), ("a=str:", .string("")),
    ("a=str:b=c:d", .string("b=c:d")), ("a=float:-1e3", .float32(-1000)),
  ])
  func valuesAreRead(text: String, value: MetadataValue) throws {
    let found = try MetadataOverride(parsing: text)
    #expect(found.key == "a" && found.value == value)
  }

  @Test(arguments: [
    "", "a", "=int:1", "a=", "a=1", "a=int:", "a=int:x", "a=int:4294967296", "a=bool:yes",
    "a=float:inf", "a=float:", "a=u8:1", "general.alignment=int:64",
    "split.count=int:2", "split.no=int:1", "split.tensors.count=int:9", "split.x=int:0",
    "general.architecture=str:llama", "fathom.version=str:9",
    String(repeating: "k", count: 128) + "=int:1", "a=str:" + String(repeating: "x", count: 128),
  ])
  func othersAreRefused(text: String) throws {
    let fault = try #require(throws: Fault.self) { try MetadataOverride(parsing: text) }
    #expect(fault.kind == .usage)
  }
}
