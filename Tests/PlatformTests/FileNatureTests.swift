import Foundation
import Platform
import Support
import Testing

/// What a file is by its first bytes.
@Suite struct FileNatureTests {
  private static let pointer = """
    version https://git-lfs.github.com/spec/v1
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
    size 7847602

    """

  private static let samples: [(bytes: [UInt8], nature: FileNature)] = [
    (Array(pointer.utf8), FileNature.pointer(size: 7_847_602)),
    (Array("# xet version 0\nfilesize = 12\n".utf8), .pointer(size: 12)),
    (Array("\n <!DOCTYPE html><html>".utf8), .page), (Array("<HTML>".utf8), .page),
    (Array("<?xml version=\"1.0\"?><Error>".utf8), .page),
    ([0x50, 0x4B, 3, 4, 0, 0], .archive("zip", mayBeTorch: true)),
    ([0x1F, 0x8B, 8], .archive("gzip", mayBeTorch: false)),
    ([0x80, 2, 0x7D, 0x71], .pickle), (Array("GGUF\u{3}\0\0\0".utf8), .gguf),
    ([2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8), .safetensors),
    (Array(" {\"error\": \"x\"}".utf8), .json), (Array("\u{FEFF}[]".utf8), .json),
    ([0xFF, 0xFE, 0x7B, 0], .utf16), (Array("Entry not found".utf8), .text("Entry not found")),
    ([UInt8](repeating: 0, count: 512), .zeros), ([], .empty),
  ]

  @Test(arguments: samples.indices)
  func isToldByTheFirstBytes(index: Int) {
    let sample = FileNatureTests.samples[index]
    #expect(FileNature(beginning: sample.bytes, isWhole: true) == sample.nature)
  }

  @Test func bytesThatAreNothingElseAreNothing() {
    #expect(FileNature(beginning: [1, 2, 0xFF, 0, 3], isWhole: true) == nil)
    #expect(FileNature(beginning: Array("nul".utf8), isWhole: true) == nil)
  }

  /// A character that the look at the beginning cuts does not make a text anything else.
  @Test func aCutCharacterIsOfATextStill() {
    let text = Array("aaaa bbbb".utf8) + [0xC3]
    #expect(FileNature(beginning: text, isWhole: false) == .text("aaaa bbbb"))
    #expect(FileNature(beginning: text, isWhole: true) == nil)
  }

  @Test func aParserThatKnowsBetterIsBelieved() throws {
    let workspace = try Workspace()
    let file = try InputFile(path: workspace.write("x", "{".utf8))
    let own = Fault(.malformed, "own")
    func parse(_ fault: Fault) -> () throws(Fault) -> Void { { () throws(Fault) in throw fault } }
    #expect(throws: own) { try file.parsed(as: .json, parse(own)) }
    #expect(throws: FileNature.json.fault(file: file.path)) {
      try file.parsed(as: .gguf, parse(own))
    }
    let other = Fault(.inputOutput, "own")
    #expect(throws: other) { try file.parsed(as: .gguf, parse(other)) }
  }
}
