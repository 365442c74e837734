import Foundation
import Support
import Testing

/// Files that claim or hold far more than a model does: refused, or read, in bounded memory.
@Suite struct HostileSizeTests {
  static let sound = Repository.samples + "/malformed/none"
  /// What the contract allows every command.
  static let limit = 512 << 20

  /// A file that is large, or makes its reader large.
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let file: String
    let arguments: [String]
    let status: Int32
    let message: String
    let bytes: @Sendable () -> [UInt8]

    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case(
      name: "an index of seven million entries", file: "model.safetensors.index.json",
      arguments: ["inspect", "FOLDER"], status: 65, message: "too many tensors"
    ) { repeated(#"{"weight_map":{"#, #""a":"b","#, 7_000_000, #""a":"b"}}"#) },
    Case(
      name: "an index of 300,000 files", file: "model.safetensors.index.json",
      arguments: ["validate", "FOLDER"], status: 65, message: "names too many files"
    ) {
      Array(
        (#"{"weight_map":{"#
          + (0..<300_000).map { #""a\#($0)":"f\#($0)""# }.joined(separator: ",") + "}}").utf8)
    },
    Case(
      name: "a header of 560,000 tensors", file: "model.safetensors",
      arguments: ["validate", "FOLDER", "--format", "json"], status: 1, message: ""
    ) {
      framed(
        "{"
          + (0..<560_000).map {
            #""\#(String($0, radix: 16))":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#
          }.joined(separator: ",") + "}")
    },
    Case(
      name: "a header longer than any", file: "model.safetensors",
      arguments: ["inspect", "FOLDER"], status: 65, message: "impossible header length"
    ) { framed(String(repeating: " ", count: 40_000_000)) },
    Case(
      name: "a shape of sixteen million dimensions", file: "model.safetensors",
      arguments: ["inspect", "FOLDER"], status: 65, message: "too many dimensions"
    ) {
      framed(
        #"{"a":{"dtype":"U8","shape":["# + String(repeating: "1,", count: 16_000_000)
          + #"1],"data_offsets":[0,1]}}"#)
    },
    Case(
      name: "two million keys of metadata", file: "model.safetensors",
      arguments: ["inspect", "FOLDER"], status: 65, message: "too many metadata"
    ) {
      framed(
        #"{"__metadata__":{"# + (0..<2_000_000).map { #""\#($0)":"""# }.joined(separator: ",")
          + "}}")
    },
    Case(
      name: "five million arrays", file: "config.json", arguments: ["inspect", "FOLDER"],
      status: 65, message: "more values than may be read"
    ) { repeated("[", "[],", 5_000_000, "[]]") },
    Case(
      name: "as many objects as may be", file: "config.json", arguments: ["inspect", "FOLDER"],
      status: 65, message: "is not a JSON object"
    ) { repeated("[", "{},", 99_000, "{}]") },
    Case(
      name: "forty million arrays for a tokenizer", file: "tokenizer.json",
      arguments: ["logits", "FOLDER", "--text", "FOLDER/config.json"], status: 65,
      message: "more values than may be read"
    ) { repeated("[", "[],", 40_000_000, "[]]") },
    Case(
      name: "eight million tokens in a GGUF file", file: "model.gguf",
      arguments: ["inspect", "FILE"], status: 65, message: ""
    ) {
      Array("GGUF".utf8) + number(3, 4) + number(0, 8) + number(1, 8) + number(1, 8)
        + Array("k".utf8) + number(9, 4) + number(8, 4) + number(8_000_000, 8)
        + [UInt8](repeating: 0, count: 64_000_000)
    },
    Case(
      name: "a list of 880,000 hashes", file: "list",
      arguments: ["hash", "FOLDER", "--check", "FILE"], status: 1, message: ""
    ) {
      let zeros = String(repeating: "0", count: 57)
      return Array(
        (0..<800_000).map { "\(zeros)\(1_000_000 + $0)  a  \($0)\n" }.joined().utf8)
    },
  ]

  @Test(arguments: cases) func memoryIsBounded(row: Case) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "malformed/none")
    if row.file == "model.safetensors" {
      for name in try workspace.names("none") where name.hasPrefix("model") {
        try FileManager.default.removeItem(atPath: "\(model)/\(name)")
      }
    }
    try workspace.write("none/" + row.file, row.bytes())
    let run = try FathomProcess.watchingMemory(
      row.arguments.map {
        $0.replacing("FILE", with: "\(model)/\(row.file)").replacing("FOLDER", with: model)
      })
    #expect(run.status == row.status, "\(run.messages)")
    #expect(run.messages.contains(row.message), "\(run.messages)")
    #expect(run.messages.split(separator: "\n").count <= 1)
    #expect(run.peakMemory > 0)
    if Sanitizer.keepsMemory { #expect(run.peakMemory <= HostileSizeTests.limit) }
  }

  /// 2^40 rows of nothing take no byte of a file.
  @Test(arguments: ["[1099511627776,0]", "[0,1099511627776]", "[4611686018427387904,0,2]"])
  func rowsWithoutElementsAreRefused(shape: String) throws {
    let workspace = try Workspace()
    try workspace.write("config.json", contents(HostileSizeTests.sound + "/config.json"))
    try workspace.write(
      "model.safetensors",
      HostileSizeTests.framed(#"{"a":{"dtype":"BF16","shape":\#(shape),"data_offsets":[0,0]}}"#))
    for command in [["inspect", "--stats"], ["validate", "--deep"], ["hash"]] {
      let run = try FathomProcess([command[0], workspace.path] + command.dropFirst())
      #expect(run.status == 65 && run.messages.contains("too many rows"), "\(run.messages)")
    }
  }

  /// A file of holes costs nothing to send, and a row of it would fill memory.
  @Test func aRowOfFourBillionIsRefused() throws {
    let workspace = try Workspace()
    try workspace.write("config.json", contents(HostileSizeTests.sound + "/config.json"))
    let header = HostileSizeTests.framed(
      #"{"a":{"dtype":"BF16","shape":[1,4294967296],"data_offsets":[0,8589934592]}}"#)
    let path = try workspace.write("model.safetensors", header)
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.truncate(atOffset: UInt64(header.count) + 1 << 33)
    try handle.close()
    let run = try FathomProcess.watchingMemory(["inspect", workspace.path, "--stats"])
    #expect(run.status == 65 && run.messages.contains("rows that are too long"), "\(run.messages)")
    if Sanitizer.keepsMemory { #expect(run.peakMemory <= HostileSizeTests.limit) }
  }

  private static func repeated(
    _ start: String, _ part: String, _ count: Int, _ end: String
  ) -> [UInt8] {
    var bytes = Array(start.utf8)
    let part = Array(part.utf8)
    bytes.reserveCapacity(bytes.count + part.count * count + end.utf8.count)
    for _ in 0..<count { bytes += part }
    return bytes + Array(end.utf8)
  }

  private static func framed(_ text: String) -> [UInt8] {
    number(text.utf8.count, 8) + Array(text.utf8)
  }

  private static func number(_ value: Int, _ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
