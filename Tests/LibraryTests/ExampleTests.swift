import FathomCodecs
import FathomFormats
import Foundation
import Support
import Testing

/// What the libraries' pages and the README show of them compiles, runs and does what it says.
@Suite struct ExampleTests {
  private func text(_ path: String) throws -> String {
    String(decoding: try contents(Repository.root + "/" + path), as: UTF8.self)
  }

  /// Runs an example, which lies beside the command.
  private func run(_ name: String, _ arguments: [String]) throws -> FathomProcess {
    let folder = (FathomProcess.path as NSString).deletingLastPathComponent
    let run = try FathomProcess(
      program: folder + "/" + name, arguments, environment: [:], folder: Repository.root)
    #expect(run.status == 0, "\(run.messages)")
    return run
  }

  @Test(arguments: [("FathomFormats", "formats-example"), ("FathomCodecs", "codecs-example")])
  func aPageShowsItsExample(library: String, example: String) throws {
    let code = try text("Examples/Sources/\(example)/main.swift")
    let page = try text("Sources/\(library)/\(library).docc/\(library).md")
    #expect(page.contains("```swift\n\(code)```\n"))
    #expect(code.split(separator: "\n").count < 20)
  }

  @Test func formatsAreReadAndWritten() throws {
    let workspace = try Workspace()
    let (path, target) = (workspace.path("model.gguf"), workspace.path("some.safetensors"))
    var metadata = GGUFMetadata()
    metadata["general.architecture"] = .string("deepseek2")
    let writer = GGUFWriter(
      [TensorInfo("norm", .f32, [2]), TensorInfo("blocks", .q80, [1, 32])], metadata: metadata)
    try writer.write(to: path) { tensor, output throws(FormatError) in
      try output.append([UInt8](repeating: 7, count: output.remaining))
    }
    let run = try run("formats-example", [path, target])
    #expect(run.output == "deepseek2\nnorm F32 [2]\nblocks Q8_0 [1, 32]\n")
    let written = try SafetensorsFile(path: target)
    #expect(written.tensors.map(\.description) == ["norm F32 [2]"])
    #expect(try written["norm"]?.read() == [UInt8](repeating: 7, count: 8))
  }

  @Test func numbersAreEncodedAndDecoded() throws {
    let run = try run("codecs-example", [])
    let lines = run.output.split(separator: "\n")
    #expect(lines.count == 2 && lines[0].hasPrefix("512 weights in 288 bytes, at most 0.0"))
    // The largest of the weights, 1.25 and -1, are in both blocks.
    #expect(lines[1] == "512 codes, scales [\(Float(1.25) / 448), \(Float(1.25) / 448)]")
  }
}
