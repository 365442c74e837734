import Foundation
import Support
import Testing

/// Packed files that are damaged, cut short or made up: found where it matters, and never a crash.
@Suite struct PackedDamageTests {
  let workspace: Workspace
  let packed: String
  let file: String
  let sound: [UInt8]

  init() throws {
    workspace = try Workspace()
    packed = workspace.path("packed")
    let run = try FathomProcess("pack", "\(Repository.samples)/tiny-bf16", packed)
    #expect(run.status == 0, "\(run.messages)")
    file = packed + "/model.safetensors"
    sound = try contents(file)
  }

  private func put(_ bytes: some Sequence<UInt8>) throws {
    try Data(Array(bytes)).write(to: URL(fileURLWithPath: file))
  }

  private func run(_ arguments: String...) throws -> FathomProcess {
    let run = try FathomProcess(arguments)
    #expect([0, 1, 64, 65, 66].contains(run.status), "\(arguments): \(run.status) \(run.messages)")
    return run
  }

  /// The header's bytes, and the places of its entries.
  private func header() throws -> (count: Int, places: [String: Range<Int>]) {
    let length = sound[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let document = try JSONSerialization.jsonObject(with: Data(sound[8..<8 + length]))
    let entries = try #require(document as? [String: [String: Any]])
    var places: [String: Range<Int>] = [:]
    for (name, entry) in entries {
      guard let range = entry["data_offsets"] as? [Int] else { continue }
      places[name] = 8 + length + range[0]..<8 + length + range[1]
    }
    return (8 + length, places)
  }

  @Test func aChangedByteIsFoundWithItsTensor() throws {
    let places = try header().places
    for name in ["model.layers.1.mlp.experts.3.up_proj.weight", "model.norm.weight"] {
      let place = try #require(places[name])
      for offset in [place.lowerBound, place.lowerBound + place.count / 2, place.upperBound - 1] {
        var bytes = sound
        bytes[offset] ^= 0x10
        try put(bytes)
        let validation = try JSONDocument(
          printedBy: ["validate", packed, "--deep"],
          schema: "fathom.validate.1", status: 65)
        #expect(validation.string("verdict") == "invalid")
        #expect(validation.list("findings").contains { $0.string("tensor") == name })
        let unpacking = try FathomProcess("unpack", packed, workspace.path("out"))
        #expect(unpacking.status == 65)
        #expect(unpacking.messages.contains(name) && unpacking.messages.contains("at byte"))
        #expect(try FathomProcess("hash", packed).status == 65)
        // Headers alone are sound.
        #expect(try FathomProcess("inspect", packed).status == 0)
      }
    }
    #expect(try workspace.names() == ["packed"])
  }

  @Test func everyPlaceThatIsChangedIsFound() throws {
    let (start, _) = try header()
    var step = 1
    var offset = 8
    var changed = 0
    while offset < sound.count {
      var bytes = sound
      bytes[offset] ^= 0x41
      try put(bytes)
      let check = try run("unpack", packed, "--check")
      #expect(check.status != 0, "byte \(offset)")
      changed += 1
      // Closely in the header's beginning, widely in the rest.
      step = offset < 200 ? 7 : offset < start ? 1009 : 17_389
      offset += step
    }
    #expect(changed > 60)
  }

  @Test func aShortFileIsFound() throws {
    let (start, _) = try header()
    for count in [0, 4, 8, 40, 60, start - 1, start, start + 1, sound.count / 2, sound.count - 1] {
      try put(sound[..<count])
      #expect(try run("validate", packed).status == 65 || run("validate", packed).status == 1)
      #expect(try run("unpack", packed, "--check").status == 65)
    }
    try put(sound + [0])
    #expect(try run("unpack", packed, "--check").status == 65)
    try put(sound[..<(sound.count - 1)])
    #expect(try run("validate", packed).output.contains("truncated-shard"))
  }

  /// A folder whose list and files disagree.
  @Test func theListOfFilesIsKept() throws {
    let config = packed + "/config.json"
    let text = try contents(config)
    try Data(text + [10]).write(to: URL(fileURLWithPath: config))
    #expect(try run("unpack", packed, "--check").messages.contains("config.json"))
    var other = text
    other[other.count - 2] ^= 1
    try Data(other).write(to: URL(fileURLWithPath: config))
    #expect(try run("unpack", packed, "--check").messages.contains("config.json"))
    try FileManager.default.removeItem(atPath: config)
    #expect(try run("unpack", packed, "--check").messages.contains("config.json"))
    try Data(text).write(to: URL(fileURLWithPath: config))
    #expect(try run("unpack", packed, "--check").status == 0)
    for list in ["", "[]", #"{"schema": "fathom.pack/1", "files": [{"name": "a"}]}"#] {
      try workspace.write("packed/fathom-pack.json", list.utf8)
      #expect(try run("unpack", packed, "--check").status == 65)
    }
  }
}
