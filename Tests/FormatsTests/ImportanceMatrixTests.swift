import Formats
import Foundation
import Platform
import Support
import Tensors
import Testing

/// Weights against those that llama-quantize uses. Origin: `scripts/make importance-fixtures`,
/// which has llama-imatrix measure a model; no tolerance, the numbers are equal.
@Suite struct ImportanceMatrixTests {
  static let folder = Repository.root + "/Tests/FormatsTests/Fixtures"

  static func bytes(_ kind: String) throws -> [UInt8] {
    try contents("\(folder)/importance.\(kind)")
  }

  @Test(arguments: ["gguf", "dat"])
  func weightsAreThePeers(kind: String) throws {
    let matrix = try ImportanceMatrix(path: "\(Self.folder)/importance.\(kind)")
    let json = try JSONDocument(String(decoding: try Self.bytes("json"), as: UTF8.self))
    let expected = try #require(json[kind] as? [String: [String: Any]])
    #expect(matrix.names == Set(expected.keys.map { ExactText($0) }))
    for (name, row) in expected {
      let count = try #require(row["columns"] as? Int)
      let matrices = try #require(row["matrices"] as? Int)
      let columns = try #require(
        try matrix.columns(of: ExactText(name), count: count, matrices: matrices))
      var weights: [Float] = []
      for index in 0..<matrices { weights += try columns.weights(ofMatrix: index) }
      #expect(weights.count == count * matrices)
      let first = try #require(row["first"] as? [Double])
      #expect(weights.prefix(2) == first.map { Float($0) }[...], "\(name)")
      let digest = SHA256.digits(weights.withUnsafeBytes { Array($0) })
      #expect(digest == row["sha256"] as? String, "\(name)")
    }
  }

  /// The third expert of the model is never chosen.
  @Test(arguments: ["gguf", "dat"])
  func anExpertThatNoTokenReachedWeighsTheSameEverywhere(kind: String) throws {
    let matrix = try ImportanceMatrix(path: "\(Self.folder)/importance.\(kind)")
    let name = "blk.1.ffn_down_exps.weight"
    let columns = try #require(try matrix.columns(of: ExactText(name), count: 32, matrices: 4))
    #expect(try columns.weights(ofMatrix: 2) == Array(repeating: 1, count: 32))
    #expect(try columns.weights(ofMatrix: 3).contains { $0 != 1 })
  }

  @Test func notesAreThoseOfThePeer() throws {
    let path = "\(Self.folder)/importance.gguf"
    var matrix = try ImportanceMatrix(path: path)
    let count = matrix.names.count
    #expect(matrix.chunkCount > 0 && matrix.datasets == ["text.txt"])
    let notes: [(String, MetadataValue)] = [
      ("quantize.imatrix.file", .string(String(path.prefix(127)))),
      ("quantize.imatrix.dataset", .string("text.txt")),
      ("quantize.imatrix.entries_count", .uint32(UInt32(count))),
      ("quantize.imatrix.chunks_count", .uint32(UInt32(matrix.chunkCount))),
    ]
    #expect(matrix.notes.keys == notes.map(\.0))
    for (key, value) in notes { #expect(matrix.notes[key] == value) }
    matrix.include(onlyNamesContaining: [])
    #expect(matrix.names.count == count)
    matrix.exclude(namesContaining: ["attn_", "shexp"])
    #expect(matrix.names.contains("blk.0.ffn_up.weight"))
    #expect(!matrix.names.contains("blk.0.attn_output.weight"))
    matrix.include(onlyNamesContaining: ["blk.1.", "absent"])
    #expect(matrix.names.allSatisfy { $0.hasPrefix("blk.1.ffn") } && !matrix.names.isEmpty)
    #expect(matrix.notes["quantize.imatrix.entries_count"] == .uint32(UInt32(matrix.names.count)))
  }

  @Test func longNamesAreCutBetweenCharacters() throws {
    let workspace = try Workspace()
    let key = "quantize.imatrix.dataset"
    let names = (String(repeating: "a", count: 126) + "é", String(repeating: "b", count: 200))
    let path = try workspace.write("m.dat", data(dataset: names.0))
    #expect(try ImportanceMatrix(path: path).notes[key] == .string(String(names.0.dropLast())))
    let other = try workspace.write("n.dat", data(dataset: names.1))
    #expect(try ImportanceMatrix(path: other).notes[key] == .string(String(names.1.prefix(127))))
  }

  @Test func shapesHaveToFit() throws {
    let matrix = try ImportanceMatrix(path: "\(Self.folder)/importance.gguf")
    #expect(try matrix.columns(of: "absent", count: 1) == nil)
    for (count, matrices) in [(64, 1), (32, 3), (Int.max, 4)] {
      let fault = try #require(throws: Fault.self) {
        try matrix.columns(of: "blk.1.ffn_down_exps.weight", count: count, matrices: matrices)
      }
      #expect(fault.kind == .malformed && fault.tensor == "blk.1.ffn_down_exps.weight")
    }
    let workspace = try Workspace()
    let path = try workspace.write("m.dat", data(name: "token_embd.weight"))
    #expect(try ImportanceMatrix(path: path).columns(of: "token_embd.weight", count: 7) == nil)
  }

  /// Sums without calls are weights already, as in llama-quantize.
  @Test func noCallsDivideNothing() throws {
    let workspace = try Workspace()
    for (calls, weights) in [(0, [Float(6), 9]), (-3, [6, 9]), (3, [2, 3])] {
      let path = try workspace.write("\(calls).dat", data(calls: calls))
      let columns = try ImportanceMatrix(path: path).columns(of: "blk.0.x.weight", count: 2)
      #expect(try columns?.weights(ofMatrix: 0) == weights)
    }
  }

  /// A `.dat` file of one entry.
  private func data(
    name: String = "blk.0.x.weight", calls: Int = 3, weights: [Float] = [6, 9],
    dataset: String? = nil
  ) -> [UInt8] {
    var bytes = little(1) + text(name) + little(calls) + little(weights.count)
    for weight in weights { bytes += little(Int(Int32(bitPattern: weight.bitPattern))) }
    if let dataset { bytes += little(5) + text(dataset) }
    return bytes
  }

  private func text(_ text: String) -> [UInt8] { little(text.utf8.count) + Array(text.utf8) }

  private func little(_ value: Int) -> [UInt8] {
    withUnsafeBytes(of: Int32(truncatingIfNeeded: value).littleEndian) { Array($0) }
  }

  // MARK: Hostile files

  @Test func damagedDataFilesAreRefused() throws {
    let good = data(dataset: "text")
    let cases: [(name: String, bytes: [UInt8], message: String)] = [
      ("empty", [], "ends inside a number of entries"),
      ("none", little(0) + good.dropFirst(4), "impossible number of entries"),
      ("many", little(1 << 30) + good.dropFirst(4), "impossible number of entries"),
      ("twice", little(2) + data().dropFirst(4) + data().dropFirst(4), "an entry twice"),
      ("negative name", little(1) + little(-1) + good.dropFirst(8), "length of a name"),
      ("long name", little(1) + little(1 << 30) + good.dropFirst(8), "ends inside a name"),
      ("binary name", data(name: "\0lk"), "no text"),
      ("no weights", data(weights: []), "impossible number of weights"),
      (
        "few weights", Array(data(weights: [1, 2]).dropLast(4)), "ends inside the weights"
      ),
      ("infinite", data(weights: [1, .infinity]), "not finite"),
      ("NaN", data(weights: [.nan]), "not finite"),
      ("longer", good + [0], "goes on after its end"),
    ]
    let workspace = try Workspace()
    for (name, bytes, message) in cases {
      let path = try workspace.write("m.dat", bytes)
      let fault = try #require(throws: Fault.self, "\(name)") { try ImportanceMatrix(path: path) }
      #expect(fault.kind == .malformed && fault.message.contains(message), "\(name): \(fault)")
      #expect(fault.file == path && fault.offset != nil, "\(name)")
    }
  }

  @Test func cutFilesAreRefused() throws {
    let workspace = try Workspace()
    let whole = data(dataset: "text")
    // What follows the entries may be absent, or end after the number of chunks.
    let ends = [data().count, data().count + 4]
    for length in 0..<whole.count {
      let path = try workspace.write("m.dat", whole.prefix(length))
      if ends.contains(length) {
        #expect(throws: Never.self) { try ImportanceMatrix(path: path) }
      } else {
        #expect(throws: Fault.self, "\(length)") { try ImportanceMatrix(path: path) }
      }
    }
    let gguf = try Self.bytes("gguf")
    for length in stride(from: 0, to: gguf.count - 32, by: 97) {
      let path = try workspace.write("m.gguf", gguf.prefix(length))
      #expect(throws: Fault.self, "\(length)") { try ImportanceMatrix(path: path) }
    }
  }

  @Test(arguments: ["gguf", "dat"])
  func anyByteMayBeWrong(kind: String) throws {
    let workspace = try Workspace()
    let good = try Self.bytes(kind)
    for place in stride(from: 0, to: good.count, by: 41) {
      var bytes = good
      bytes[place] ^= 0xFF
      let path = try workspace.write("m", bytes)
      // Either is right; a trap is not.
      let matrix = try? ImportanceMatrix(path: path)
      _ = try? matrix?.columns(of: "blk.0.attn_q_a.weight", count: 64)?.weights(ofMatrix: 0)
    }
  }

  /// A GGUF file of one entry: sums and counts of so many numbers and a type.
  private func gguf(
    sums: (Int, UInt32), counts: (Int, UInt32), chunks: Int = 1,
    names: [String] = ["x.in_sum2", "x.counts"]
  ) -> [UInt8] {
    func long(_ text: String) -> [UInt8] { little(text.utf8.count) + little(0) + Array(text.utf8) }
    var bytes = Array("GGUF".utf8) + little(3) + little(2) + little(0) + little(3) + little(0)
    bytes += long("imatrix.datasets") + little(9) + little(8) + little(1) + little(0) + long("t")
    bytes += long("imatrix.chunk_count") + little(4) + little(chunks)
    bytes += long("imatrix.chunk_size") + little(4) + little(8)
    let place = (sums.0 * 4 + 31) / 32 * 32
    for (name, (tensor, offset)) in zip(names, [(sums, 0), (counts, place)]) {
      bytes += long(name) + little(1) + little(tensor.0) + little(0) + little(Int(tensor.1))
      bytes += little(offset) + little(0)
    }
    bytes += Array(repeating: 0, count: (32 - bytes.count % 32) % 32)
    return bytes + Array(repeating: 0, count: place + counts.0 * 4)
  }

  @Test func sumsHaveToFitTheirCounts() throws {
    let (f32, i32): (UInt32, UInt32) = (0, 26)
    let cases: [(name: String, bytes: [UInt8], message: String?)] = [
      ("good", gguf(sums: (6, f32), counts: (3, f32)), nil),
      ("uneven", gguf(sums: (6, f32), counts: (4, f32)), "do not fit its counts"),
      ("more counts", gguf(sums: (2, f32), counts: (3, f32)), "do not fit its counts"),
      ("no counts", gguf(sums: (2, f32), counts: (0, f32)), "do not fit its counts"),
      ("no sums", gguf(sums: (0, f32), counts: (2, f32)), "do not fit its counts"),
      ("integer sums", gguf(sums: (6, i32), counts: (3, f32)), "of another type"),
      ("integer counts", gguf(sums: (6, f32), counts: (3, i32)), "of another type"),
      ("nothing", gguf(sums: (6, f32), counts: (3, f32), names: ["x", ".counts"]), "no entries"),
      ("chunks", gguf(sums: (6, f32), counts: (3, f32), chunks: -1), "impossible metadata"),
      ("longer", gguf(sums: (6, f32), counts: (3, f32)) + Array(repeating: 0, count: 99), "after"),
    ]
    let workspace = try Workspace()
    for (name, bytes, message) in cases {
      let path = try workspace.write("m.gguf", bytes)
      guard let message else {
        let columns = try ImportanceMatrix(path: path).columns(of: "x", count: 2, matrices: 3)
        #expect(try columns?.weights(ofMatrix: 2) == [1, 1])
        continue
      }
      let fault = try #require(throws: Fault.self, "\(name)") { try ImportanceMatrix(path: path) }
      #expect(fault.message.contains(message), "\(name): \(fault)")
    }
  }

  @Test func damagedGGUFFilesAreRefused() throws {
    let good = try Self.bytes("gguf")
    let workspace = try Workspace()
    let header = try GGUFHeader(
      InputFile(path: workspace.write("good.gguf", good)), shard: 0)
    func place(_ name: String) throws -> Int {
      try #require(header.tensors.first { $0.name == ExactText(name) }).offset
    }
    let (sums, counts) = ("blk.0.ffn_up.weight.in_sum2", "blk.0.ffn_up.weight.counts")
    let nan = withUnsafeBytes(of: Float.nan) { Array($0) }
    func with(_ bytes: [UInt8], at place: Int) -> [UInt8] {
      Array(good[..<place]) + bytes + good[(place + bytes.count)...]
    }
    func renamed(_ old: String, _ new: String) throws -> [UInt8] {
      let range = try #require(Data(good).firstRange(of: Data(old.utf8)))
      return with(Array(new.utf8), at: range.lowerBound)
    }
    let cases: [(name: String, bytes: [UInt8], message: String)] = [
      ("no data sets", try renamed("imatrix.datasets", "imatrix.datasetz"), "no importance matrix"),
      ("no chunks", try renamed("imatrix.chunk_count", "imatrix.chunk_counz"), "no importance"),
      ("no size", try renamed("imatrix.chunk_size", "imatrix.chunk_sizz"), "no importance matrix"),
      ("no counts", try renamed(counts, "blk.0.ffn_up.weight.countz"), "sums without counts"),
      ("no sums", try renamed(sums, "blk.0.ffn_up.weight.in_sum3"), "sums without counts"),
      ("NaN", with(nan, at: try place(sums)), "not finite"),
      ("NaN tokens", with(nan, at: try place(counts)), "no number of tokens"),
    ]
    for (name, bytes, message) in cases {
      let path = try workspace.write("m.gguf", bytes)
      let fault = try #require(throws: Fault.self, "\(name)") { try ImportanceMatrix(path: path) }
      #expect(fault.kind == .malformed && fault.message.contains(message), "\(name): \(fault)")
    }
    // Where nothing was measured the sums do not count.
    var bytes = with(nan, at: try place(sums))
    bytes.replaceSubrange(try place(counts)..<(try place(counts)) + 4, with: [0, 0, 0, 0])
    let matrix = try ImportanceMatrix(path: workspace.write("zero.gguf", bytes))
    let columns = try matrix.columns(of: "blk.0.ffn_up.weight", count: 64)
    #expect(try columns?.weights(ofMatrix: 0) == Array(repeating: 1, count: 64))
  }
}
