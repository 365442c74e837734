import Calibration
import Formats
import Models
import Passes
import Platform
import Reference
import Support
import Tensors
import Testing

/// What weights are multiplied with, against llama-imatrix on the same texts.
@Suite struct ImatrixTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private func destination(_ name: String) throws -> OutputPath {
    try OutputPath(
      workspace.path(name), overwrite: false, replacing: .importance, sparing: InputPlaces())
  }

  private func request() -> ImatrixRequest {
    let sequences = (0..<3).map { sequence in
      (0..<20).map { 3 + (sequence * 31 + $0 * 7) % 200 }
    }
    return ImatrixRequest(sequences: sequences, chunkSize: 20)
  }

  @discardableResult
  private func run(
    _ files: ModelFiles, _ request: ImatrixRequest, to name: String, merging: [String] = []
  ) throws -> (matrix: ImportanceMatrix, report: ImatrixReport) {
    let merge = try ImportanceMerge(paths: merging.map(workspace.path))
    let report = try ImatrixRun(files, request, merging: merge).write(
      to: destination(name)
    ) { _, _ in }
    return (try ImportanceMatrix(path: workspace.path(name)), report)
  }

  @Test(arguments: try Fixture.cases("imatrix.json"))
  func sumsAreThoseOfLlamaImatrix(fixture: Fixture) throws {
    let files = try ModelFiles(path: Repository.samples + "/" + fixture.text("name"))
    let sequences = fixture.rows("sequences").map { $0.map { Int($0) } }
    var request = ImatrixRequest(sequences: sequences, chunkSize: sequences[0].count)
    request.dataset = "text.txt"
    request.output = true
    let (matrix, report) = try run(files, request, to: "matrix.gguf")
    #expect(report.tokens == request.sequences.count * request.chunkSize)
    #expect(matrix.datasets == ["text.txt"] && matrix.chunkSize == request.chunkSize)
    #expect(matrix.chunkCount == request.sequences.count)
    var names: Set<ExactText> = []
    for tensor in fixture.objects("tensors") {
      let name = ExactText(tensor.text("name"))
      names.insert(name)
      let stored = try #require(matrix.stored(of: name), "\(name)")
      #expect(stored.sums == tensor.integer("count"), "\(name)")
      #expect(stored.tokens.map { Double($0) } == tensor.numbers("tokens"), "\(name)")
      let sums = try matrix.sums(of: name, 0..<stored.sums)
      for (place, expected) in tensor.numbers("sums").enumerated() {
        let found = Double(sums[17 * place])
        // F32 sums of a hundred squares, of activations that rounding moves.
        #expect(abs(found - expected) <= 1e-4 * expected, "\(name) \(17 * place)")
      }
    }
    let others = matrix.names.subtracting(names)
    #expect(
      others.allSatisfy { DeepSeek2Names.layerIndex(of: $0) ?? 0 >= files.config.layers },
      "MTP layers alone come on top")
    #expect(others.isEmpty == (files.config.mtpLayers == 0))
  }

  /// Groups that wait in a scratch file, and threads, do not show.
  @Test(arguments: ["tiny-mtp2", "tiny-glm52", "tiny-v5"])
  func neitherMemoryNorThreadsShow(sample: String) throws {
    let files = try ModelFiles(path: Repository.samples + "/" + sample)
    var request = request()
    // Long enough for the indexer to choose.
    request.sequences = (0..<3).map { n in (0..<50).map { 3 + (n * 31 + $0 * 7) % 200 } }
    request.threads = 1
    let (whole, _) = try run(files, request, to: "whole.gguf")
    request.threads = 3
    try run(files, request, to: "threads.gguf")
    let config = files.config
    #expect(
      try contents(workspace.path("whole.gguf")) == contents(workspace.path("threads.gguf")))
    // Each sequence by itself, added up: what groups come to.
    var parts: [String] = []
    for (index, sequence) in request.sequences.enumerated() {
      var own = request
      own.sequences = [sequence]
      parts.append("part\(index).gguf")
      try run(files, own, to: parts[index])
    }
    let merge = try ImportanceMerge(paths: parts.map(workspace.path))
    _ = try merge.write(request, to: destination("merged.gguf"))
    let merged = try ImportanceMatrix(path: workspace.path("merged.gguf"))
    #expect(merged.names == whole.names && merged.chunkCount == whole.chunkCount)
    for name in whole.names {
      let (a, b) = try (#require(whole.stored(of: name)), #require(merged.stored(of: name)))
      #expect(a.tokens == b.tokens, "\(name)")
      let sums = try zip(
        whole.sums(of: name, 0..<a.sums), merged.sums(of: name, 0..<b.sums))
      #expect(sums.allSatisfy { abs($0 - $1) <= 1e-5 * $0 }, "\(name)")
    }
    #expect(config.mtpLayers == 0 || whole.names.contains { $0.hasSuffix("nextn.eh_proj.weight") })
  }

  @Test func statesComeBackFromTheScratchFile() throws {
    let rows = [3, 2]
    var store = try StateStore(
      rows: rows, columns: 5, longest: 70, beside: destination("unused.gguf"))
    #expect(store.byteCount > 0)
    var expected: [Activations] = []
    for (group, count) in rows.enumerated() {
      let states = Activations(rows: count, columns: 5)
      for place in 0..<count * 5 { states.values[place] = Float(group * 100 + place) }
      if group == 1 {
        let keys = KeySets(rows: count, words: 2)
        for place in keys.bytes.indices { keys.bytes[place] = UInt8(place) }
        states.chosenKeys = keys
      }
      expected.append(states)
      try store.put(states, group)
    }
    for group in [1, 0] {
      let states = try store.take(group)
      #expect(states.array == expected[group].array)
      #expect((states.chosenKeys == nil) == (group == 0))
      let keys = states.chosenKeys.map { $0.equals(expected[1].chosenKeys!) } ?? true
      #expect(keys)
    }
    #expect(try workspace.names().isEmpty, "a scratch file has no name")
  }

  @Test func expertsThatNoTokenReachesAreNamed() throws {
    let files = try ModelFiles(path: Repository.samples + "/tiny-bf16")
    var request = request()
    request.sequences = [[5, 6]]
    let (matrix, report) = try run(files, request, to: "few.gguf")
    let stack = try #require(report.stacks.first)
    let stored = try #require(matrix.stored(of: stack.name))
    #expect(stack.unreached == stored.tokens.indices.filter { stored.tokens[$0] == 0 })
    #expect(!stack.unreached.isEmpty && !stack.scarce.isEmpty)
    #expect(report.text.text.contains("saw no token"))
  }

  @Test func theOlderFormatSaysTheSame() throws {
    let files = try ModelFiles(path: Repository.samples + "/tiny-v2-lite")
    var request = request()
    let (new, _) = try run(files, request, to: "matrix.gguf")
    request.format = .dat
    let (old, _) = try run(files, request, to: "matrix.dat")
    #expect(old.names == new.names)
    for name in new.names {
      let entry = try #require(new.stored(of: name))
      let parts = entry.tokens.count
      let columns = try #require(
        try new.columns(of: name, count: entry.sums / parts, matrices: parts))
      let others = try #require(
        try old.columns(of: name, count: entry.sums / parts, matrices: parts))
      for part in 0..<parts {
        let pairs = zip(try columns.weights(ofMatrix: part), try others.weights(ofMatrix: part))
        #expect(pairs.allSatisfy { abs($0 - $1) <= 1e-6 * abs($0) }, "\(name) \(part)")
      }
    }
  }

  @Test func filesOfOtherModelsAreNotMerged() throws {
    let one = try ModelFiles(path: Repository.samples + "/tiny-bf16")
    let other = try ModelFiles(path: Repository.samples + "/tiny-v2-lite")
    try run(other, request(), to: "other.gguf")
    let fault = #expect(throws: Fault.self) {
      try run(one, request(), to: "joined.gguf", merging: ["other.gguf"])
    }
    #expect(fault?.kind == .malformed && fault?.tensor != nil)
    #expect(try workspace.names() == ["other.gguf"])
  }

  @Test func textsAreCutIntoWholeChunks() {
    let cut = ChunkedText(Array(10..<20), size: 4, begin: 1)
    #expect(cut.sequences == [[1, 11, 12, 13], [1, 15, 16, 17]] && cut.remainder == 2)
    #expect(ChunkedText([7, 8], size: 4, begin: nil).sequences == [[7, 8]])
    #expect(ChunkedText(Array(0..<8), size: 4, begin: nil).remainder == 0)
  }
}
