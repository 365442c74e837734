import Foundation
import Support
import Testing

/// Numbers that are not finite on the way through a network: they are named, and never silent.
@Suite struct FinitenessTests {
  let workspace: Workspace
  private static let layer = "model.layers.1."

  init() throws { workspace = try Workspace() }

  /// A model of F32 in which one element of a tensor is no number.
  private func model(_ tensor: String, _ value: Float) throws -> SampleEditor {
    let editor = try SampleEditor("tiny-tied", in: workspace)
    try editor.change(tensor) { matrix in
      let row = matrix.count / 2
      matrix[row][matrix[row].count / 2] = withUnsafeBytes(of: value.bitPattern) { Array($0) }
    }
    return editor
  }

  private func logits(_ model: String) throws -> FathomProcess {
    let tokens = try workspace.write("tokens.json", "[[1, 2, 3, 4, 5, 6, 7, 8]]".utf8)
    return try FathomProcess(
      "logits", model, "--tokens", tokens, "-o", workspace.path("out.safetensors"))
  }

  /// What the router chooses by hides what it was chosen by.
  @Test(
    arguments: ["mlp.gate.e_score_correction_bias", "mlp.gate.weight"], [Float.nan, .infinity])
  func aRouterIsNoHidingPlace(tensor: String, value: Float) throws {
    let name = FinitenessTests.layer + tensor
    let model = try model(name, value)
    let run = try logits(model.path)
    #expect(run.status == 65 && run.messages.contains(name), "\(run.messages)")
    #expect(try !workspace.names().contains("out.safetensors"))
    let verify = try FathomProcess("verify", model.path, model.path)
    #expect(verify.status == 65 && verify.messages.contains(name), "\(verify.messages)")
    #expect(!verify.output.contains("pass"))
  }

  @Test(arguments: [
    ("model.layers.0.self_attn.o_proj.weight", "layer 0"),
    ("model.layers.1.mlp.shared_experts.down_proj.weight", "layer 1"),
    ("model.layers.1.post_attention_layernorm.weight", "layer 1"),
    ("model.norm.weight", "the last norm"),
    ("model.layers.2.eh_proj.weight", "layer 2"),
  ])
  func layerAndTensorAreNamed(tensor: String, place: String) throws {
    for value in [Float.nan, .infinity] { try check(tensor, value, place) }
  }

  private func check(_ tensor: String, _ value: Float, _ place: String) throws {
    try? FileManager.default.removeItem(atPath: workspace.path("candidate"))
    let model = try model(tensor, value)
    let run = try logits(model.path)
    #expect(run.status == 65, "\(run.messages)")
    #expect(run.messages.contains(tensor) && run.messages.contains(place), "\(run.messages)")
    #expect(run.messages.split(separator: "\n").count == 1)
    #expect(try !workspace.names().contains("out.safetensors"))
    // With a model that has them, the verdict of a comparison is negative.
    #expect(try FathomProcess("verify", model.path, model.path).status != 0)
  }
}
