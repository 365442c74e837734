import Compression
import Formats
import Platform
import Support
import Tensors
import Testing

/// What would be written and never read again is refused before it is.
@Suite struct ReadableOutputTests {
  private func entries(_ names: [String]) throws -> [OutputLayout.Entry] {
    let shape = try #require(Shape([1]))
    return try names.map { name in
      try #require(OutputLayout.Entry(name: ExactText(name), type: .f32, shape: shape))
    }
  }

  private func refusal(_ layout: OutputLayout) -> String {
    do throws(Fault) {
      try layout.requireReadable()
      return "none"
    } catch {
      return error.kind == .malformed ? "\(error)" : "another kind: \(error)"
    }
  }

  @Test func soundLayoutsAreReadable() throws {
    let few = try entries(["a", "b", "c"])
    #expect(refusal(try SafetensorsWriterLayout(few, shardLimit: 4).output) == "none")
    let gguf = try GGUFWriterLayout.layout(
      few, metadata: Metadata(), name: "m.gguf", division: .limit(4))
    #expect(refusal(gguf) == "none")
  }

  @Test func moreFilesThanAModelMayHave() throws {
    let many = try entries((0..<10_001).map { "t\($0)" })
    let layout = try SafetensorsWriterLayout(many, shardLimit: 1).output
    #expect(refusal(layout).contains("has too many files"))
  }

  @Test func moreTensorsThanAGGUFFileMayHave() throws {
    let many = try entries((0..<200_001).map { "t\($0)" })
    let layout = try GGUFWriterLayout.layout(
      many, metadata: Metadata(), name: "m.gguf", division: .limit(.max))
    #expect(refusal(layout).contains("too long a header for so many tensors"))
  }

  /// A tensor of that name would stand where the metadata are.
  @Test func aNameThatMeansSomethingElse() throws {
    let layout = try SafetensorsWriterLayout(
      entries(["__metadata__", "a"]), shardLimit: 1 << 20
    ).output
    #expect(refusal(layout).contains("stands twice in the header"))
  }

  /// Names in a GGUF file may be what no other file can have.
  @Test(arguments: ["__metadata__", PackedFile.headName, "t"] as [ExactText])
  func namesOfPackedFiles(name: ExactText) throws {
    let workspace = try Workspace()
    let original = try InputFile(path: try workspace.write("original", [1, 2, 3]))
    let parts = [Int](repeating: 1, count: 3).map {
      PackedIndex.Part(byteCount: $0, planes: .bytes)
    }
    let names = [PackedFile.headName, name, "other"]
    do throws(Fault) {
      try PackedFile.requireReadable(names: names, parts, original: original)
      #expect(name == "t")
    } catch {
      #expect(name != "t" && error.kind == .malformed && error.advice != nil, "\(error)")
    }
  }
}
