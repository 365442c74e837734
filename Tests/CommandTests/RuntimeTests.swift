import Foundation
import Support
import Testing

/// `--as RUNTIME`; scripts/make runtime-fixtures had runtimes compute the known answers.
@Suite struct RuntimeTests {
  let workspace: Workspace
  static let sample = Repository.samples + "/tiny-trained"

  init() throws { workspace = try Workspace() }

  /// What llama.cpp computes with the attention and the cache that its users have.
  struct Case: CustomStringConvertible, Sendable {
    let description: String
    /// The checkpoint that the file is made of.
    let model: String
    let tokens: [Int]
    /// Of the last tokens.
    let logits: [[Double]]
  }

  static let cases = read("runtime.json")
  /// What mlx-lm computes of the sample in BF16 and torch by DeepSeek's FP8 products.
  static let others = read("runtime-16-bits.json")

  private static func read(_ name: String) -> [Case] {
    let path = Repository.root + "/Tests/CommandTests/Fixtures/" + name
    guard let bytes = try? contents(path),
      let list = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [[String: Any]]
    else { return [] }
    return list.map {
      Case(
        description: $0["name"] as? String ?? "", model: $0["model"] as? String ?? "",
        tokens: $0["tokens"] as? [Int] ?? [],
        logits: $0["logits"] as? [[Double]] ?? [])
    }
  }

  private func model(
    of source: String = RuntimeTests.sample, _ options: String...
  ) throws -> String {
    let path = workspace.path("model.gguf")
    let run = try FathomProcess(
      ["convert", source, path, "--to", "gguf", "--quant", "q8_0", "--no-manifest"]
        + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  /// How far `fathom logits` is from llama.cpp's: the median over tokens of the root mean square.
  private func distance(_ known: Case, _ model: String, _ options: String...) throws -> Double {
    let tokens = try workspace.write("tokens.json", "\(known.tokens)".utf8)
    let output = workspace.path("logits.safetensors")
    let run = try FathomProcess(
      ["logits", model, "--tokens", tokens, "-o", output, "--overwrite"] + options)
    #expect(run.status == 0, "\(run.messages)")
    let found = try SafetensorsView(output).bytes(of: "logits").withUnsafeBytes {
      Array($0.bindMemory(to: Float.self))
    }
    let size = found.count / known.tokens.count
    let first = known.tokens.count - known.logits.count
    let distances = known.logits.enumerated().map { row, theirs in
      let start = (first + row) * size
      let squares = zip(theirs, found[start..<start + size]).reduce(0) {
        $0 + ($1.0 - Double($1.1)) * ($1.0 - Double($1.1))
      }
      return (squares / Double(size)).squareRoot()
    }
    return distances.sorted()[distances.count / 2]
  }

  /// One rounding follows another where values are made of mixed latents, since the cache is rounded
  /// too, and which code a number becomes can depend on the last bits of a sum. What BF16 rounds is
  /// small beside the cache. Of DeepSeek-V4 the last case shows what its caches round alone.
  @Test(arguments: cases)
  func llamaIsImitated(known: Case) throws {
    let model = try model(
      of: Repository.root + "/" + known.model, "--tensor-type", known.description, "--tensor-type",
      ".=f32", "--output-tensor-type", "f32",
      "--token-embedding-type", "f32")
    let exact = try distance(known, model)
    let imitated = try distance(known, model, "--as", "llama.cpp")
    let isCoarse = known.description.hasPrefix("attn_v_b") || known.description.hasSuffix("bf16")
    let isOfCaches = known.description.hasPrefix("none")
    let share =
      isCoarse ? 0.4 : isOfCaches ? 0.06 : known.model.hasSuffix("runtime-v4") ? 0.2 : 0.1
    #expect(exact > 5e-4 && imitated < share * exact, "\(imitated) and \(exact)")
  }

  /// Every result is rounded where theirs are, so that most tokens' logits are theirs to the bit.
  @Test(arguments: others)
  func sixteenBitsAreImitated(known: Case) throws {
    let runtime = known.description
    var model = Repository.root + "/" + known.model
    if runtime == "mlx" {
      let run = try FathomProcess(
        "convert", model, workspace.path("mlx"), "--to", "mlx", "--quant", "bf16", "--mtp", "drop")
      #expect(run.status == 0, "\(run.messages)")
      model = workspace.path("mlx")
    }
    let exact = try distance(known, model)
    let imitated = try distance(known, model, "--as", runtime)
    #expect(exact > 5e-3 && imitated < 0.02 * exact, "\(imitated) and \(exact)")
  }

  @Test func everyCaseIsThere() {
    #expect(RuntimeTests.others.map(\.description) == ["mlx", "deepseek-fp8"])
    #expect(RuntimeTests.others.allSatisfy { $0.logits.count == 12 && $0.tokens.count == 128 })
    #expect(RuntimeTests.cases.count == 14)
    #expect(RuntimeTests.cases.count { $0.model.hasSuffix("runtime-v4") } == 8)
    #expect(RuntimeTests.cases.allSatisfy { $0.logits.count == 12 && $0.tokens.count >= 128 })
  }

  @Test func verifyMeasuresWhatTheRuntimeAdds() throws {
    let model = try model()
    let arguments = ["verify", RuntimeTests.sample, model, "--format", "json"]
    let plain = try JSONDocument(printedBy: arguments, schema: "fathom.verify.1", status: 0)
    let rounded = try JSONDocument(
      printedBy: arguments + ["--as", "llama.cpp"], schema: "fathom.verify.1", status: 0)
    #expect(plain.string("as") == nil && rounded.string("as") == "llama.cpp")
    let losses = try [plain, rounded].map { try #require($0.number("main", "klMean")) }
    #expect(losses[1] > 1.2 * losses[0], "\(losses)")
  }

  /// Other runtimes round a checkpoint as it is, so that it differs from itself.
  @Test(arguments: ["deepseek-fp8", "mlx"])
  func aCheckpointDiffersFromItself(runtime: String) throws {
    let document = try JSONDocument(
      printedBy: [
        "verify", RuntimeTests.sample, RuntimeTests.sample, "--as", runtime, "--format", "json",
      ], schema: "fathom.verify.1", status: 0)
    let loss = try #require(document.number("main", "klMean"))
    #expect(loss > 1e-6 && loss < 0.2, "\(loss)")
  }

  @Test func whatLlamaDoesNotReadIsRefused() throws {
    let sample = RuntimeTests.sample
    let run = try FathomProcess("verify", sample, sample, "--as", "llama.cpp")
    #expect(run.status == 64 && run.messages.contains("GGUF"), "\(run.messages)")
    let streamed = Repository.root + "/Tests/ReferenceTests/Fixtures/deepseek-v4"
    let other = try FathomProcess("verify", streamed, streamed, "--as", "mlx")
    #expect(other.status == 64 && other.messages.contains("deepseek_v4"), "\(other.messages)")
    #expect(other.messages.contains("mlx-lm has no such network"), "\(other.messages)")
    let eight = try FathomProcess("verify", streamed, streamed, "--as", "deepseek-fp8")
    #expect(eight.status == 64 && eight.messages.contains("indexer's in FP4"), "\(eight.messages)")
    let shards = try FathomProcess("verify", streamed, streamed, "--as", "llama.cpp")
    #expect(shards.status == 64 && shards.messages.contains("GGUF"), "\(shards.messages)")
    let blame = try FathomProcess("verify", sample, sample, "--as", "mlx", "--blame")
    #expect(blame.status == 64 && blame.messages.contains("--as"), "\(blame.messages)")
  }
}
