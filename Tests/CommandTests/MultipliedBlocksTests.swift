import Foundation
import Support
import Testing

/// NVFP4 in GGUF files with a number for each matrix, which llama.cpp's sparse architectures multiply
/// by: codes and scales are moved, in both directions.
@Suite struct MultipliedBlocksTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// A sample whose experts are 64 wide, so that the rows of one of their matrices are whole blocks.
  private func source() throws -> String {
    let sample = workspace.path("sample")
    let run = try FathomProcess(
      "convert", Repository.samples + "/tiny-v32", sample, "--to", "hf", "--quant", "bf16")
    try #require(run.status == 0, "\(run.messages)")
    var model = try SampleTensors(folder: sample)
    model.config["moe_intermediate_size"] = 64
    var state: UInt64 = 5
    for (name, tensor) in model.tensors where name.contains("experts.") {
      let isDown = name.contains("down_proj")
      let shape = isDown ? [tensor.shape[0], 64] : [64, tensor.shape[1]]
      var bytes: [UInt8] = []
      for _ in 0..<shape[0] * shape[1] {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        // ±(0.03 … 0.06) as BF16.
        bytes += [UInt8(truncatingIfNeeded: state >> 40), state >> 63 == 0 ? 0x3D : 0xBD]
      }
      model[name] = .init("BF16", shape, bytes)
    }
    let (plain, coded) = (try model.write(to: workspace), workspace.path("coded"))
    let coding = try FathomProcess("convert", plain, coded, "--to", "modelopt", "--quant", "nvfp4")
    try #require(coding.status == 0, "\(coding.messages)")
    return coded
  }

  /// A file whose experts' last matrices are NVFP4, the shared ones' too.
  private func convert(_ source: String, _ name: String) throws -> String {
    let recipe = try workspace.write(
      "recipe.json",
      #"""
      {"schema": "fathom.recipe/1", "default": "f32",
       "rules": [{"match": "blk.*.ffn_down_*exp*", "type": "nvfp4"}]}
      """#.utf8)
    let path = workspace.path(name)
    let run = try FathomProcess("convert", source, path, "--to", "gguf", "--recipe", recipe)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  private func tokens() throws -> String {
    try workspace.write("tokens.json", "[[1,5,9,17,200,3,44,8]]".utf8)
  }

  @Test func theNumberStandsBesideTheBlocks() throws {
    let source = try source()
    let path = try convert(source, "model.gguf")
    let inspection = try JSONDocument(
      FathomProcess("inspect", path, "--tensors", "--format", "json").output)
    let tensors = inspection.list("tensors")
    let blocks = tensors.filter { $0.string("type") == "NVFP4" }.compactMap { $0.string("name") }
    #expect(blocks.count >= 4)
    for name in blocks {
      let number = name.replacingOccurrences(of: ".weight", with: ".scale")
      #expect(tensors.contains { $0.string("name") == number && $0.string("type") == "F32" })
    }
    #expect(tensors.filter { $0.string("name")?.hasSuffix(".scale") == true }.count == blocks.count)
    let validation = try FathomProcess("validate", path, "--deep")
    #expect(validation.output.contains(" 0 errors"), "\(validation.output)")
    let verdict = try FathomProcess(
      "verify", source, path, "--tokens", tokens(), "--max-kl", "1e-9")
    #expect(verdict.status == 0, "\(verdict.output)\(verdict.messages)")
    // What is quantized anew is multiplied still.
    let smaller = workspace.path("smaller.gguf")
    let run = try FathomProcess(
      "convert", path, smaller, "--to", "gguf", "--quant", "q8_0", "--allow-requantize")
    #expect(run.status == 0, "\(run.messages)")
    let again = try FathomProcess("verify", path, smaller, "--tokens", tokens(), "--max-kl", "0.05")
    #expect(again.status == 0, "\(again.output)\(again.messages)")
  }

  @Test(arguments: ["modelopt", "compressed-tensors"])
  func codesComeBack(target: String) throws {
    let source = try source()
    let path = try convert(source, "model.gguf")
    let back = workspace.path("back")
    let run = try FathomProcess("convert", path, back, "--to", target, "--quant", "nvfp4-experts")
    #expect(run.status == 0, "\(run.messages)")
    let (stored, found) = (try SampleTensors(folder: source), try SampleTensors(folder: back))
    let names = stored.tensors.keys.filter {
      $0.contains(".experts.") && $0.hasSuffix("down_proj.weight")
    }
    try #require(names.count > 8)
    for name in names {
      let codes = target == "modelopt" ? name : "\(name)_packed"
      #expect(found[codes].bytes == stored[name].bytes, "\(name)")
      #expect(found["\(name)_scale"].bytes == stored["\(name)_scale"].bytes, "\(name)")
      let number = try #require(stored["\(name)_scale_2"].floats.first)
      let expected = target == "modelopt" ? number : 1 / number
      let key = target == "modelopt" ? "\(name)_scale_2" : "\(name)_global_scale"
      #expect(found[key].floats == [expected], "\(name)")
    }
    let output = workspace.path("plain")
    try #require(
      FathomProcess("convert", path, output, "--to", "hf", "--quant", "f32").status == 0)
    let verdict = try FathomProcess(
      "verify", source, output, "--tokens", tokens(), "--max-kl", "1e-9")
    #expect(verdict.status == 0, "\(verdict.output)")
  }

  /// Without its numbers a stack would be computed thousands of times too large.
  @Test func numbersUnderAnotherNameStopIt() throws {
    let path = try convert(source(), "model.gguf")
    var bytes = try Data(contents(path))
    let place = try #require(bytes.range(of: Data("ffn_down_exps.scale".utf8)))
    bytes.replaceSubrange(place, with: Data("ffn_down_exps.scalf".utf8))
    let broken = try workspace.write("broken.gguf", bytes)
    let run = try FathomProcess("verify", path, broken, "--tokens", tokens())
    #expect(run.status == 65 && run.messages.contains("ffn_down_exps.scalf"), "\(run.messages)")
    let validation = try FathomProcess("validate", broken)
    #expect(validation.status == 1 && validation.output.contains("ffn_down_exps.scalf"))
  }
}
