import Conversion
import Dialects
import Formats
import Foundation
import Mixes
import Platform
import Support
import Tensors
import Testing

/// Types against llama-quantize's. Origin: `scripts/make mix-fixtures` with the llama.cpp that
/// `scripts/build-llama` builds; every type of every tensor is the same, and so is every refusal.
@Suite struct TypeMixTests {
  @Test(arguments: try MixFixture.runs.get())
  func everyTensorGetsThePeersType(run: MixFixture.Run) throws {
    guard let expected = run.types else {
      #expect(throws: Fault.self, "\(run.refusal ?? "")") { try run.mix() }
      return
    }
    let mix = try run.mix()
    #expect(mix.choices.map(\.tensor.name.text) == run.fixture.writingOrder)
    #expect(try GGUFFileType(named: run.fileType.lowercased()).id == run.code)
    let others = mix.choices.filter { $0.type.rawValue != expected[$0.tensor.name.text] }
    #expect(others.map { "\($0.tensor.name): \($0.type.rawValue), \($0.reason)" } == [])
    #expect(mix.choices.allSatisfy { !$0.reason.isEmpty })
  }

  @Test func everyFileTypeHasRuns() throws {
    let found = try MixFixture.runs.get().map { try GGUFFileType(named: $0.fileType) }
    #expect(Set(found) == Set(GGUFFileType.allCases))
    #expect(try MixFixture.runs.get().count > 450)
  }

  @Test func reasonsAreShort() throws {
    let mix = try TypeMix(GGUFRecipe(.q4KM), tensors: tensors, model: model)
    #expect(
      mix.choices.map(\.reason)
        == [
          "output", "file type", "file type; Q4_K falls back, row 128 not divisible by 256",
          "norm, never quantized", "ffn_down, layer among those with more bits",
          "router of the experts, never quantized",
        ])
    let recipe = GGUFRecipe(
      .q4KM, embeddingType: .f16, tensorTypes: [try TensorTypeRule(parsing: "K_b=Q8_0")])
    let other = try TypeMix(recipe, tensors: tensors, model: model)
    #expect(other.choices[1].reason == "asked for")
    #expect(other.choices[2].reason == "rule K_b")
  }

  @Test func recipesAddNothing() throws {
    let rules = [
      try TensorTypeRule(.glob("*ffn_down*"), .q6K), try TensorTypeRule(.glob("blk.*"), .q4K),
    ]
    let recipe = GGUFRecipe(.bf16, base: .bf16, tensorTypes: rules)
    let mix = try TypeMix(recipe, tensors: tensors, model: model)
    #expect(mix.choices.map(\.type) == [.bf16, .bf16, .q50, .f32, .q6K, .f32])
    #expect(mix.choices[0].reason == "default of the recipe")
  }

  @Test(arguments: [
    ("q3_k", GGUFFileType.q3KM), ("Q4_K", .q4KM), ("q5_K", .q5KM), ("mxfp4_moe", .mxfp4MoE),
    ("Q2_k_s", .q2KS), ("bf16", .bf16), ("iq2_xs", .iq2XS), ("IQ3_M", .iq3M), ("q1_0", .q10),
  ])
  func namesAreFoundInAnyCase(name: String, type: GGUFFileType) throws {
    #expect(try GGUFFileType(named: name) == type)
  }

  @Test(arguments: ["iq2_xl", "iq3", "nvfp4", "copy", "", "15"])
  func otherFileTypesAreRefused(name: String) throws {
    let fault = try #require(throws: Fault.self) { try GGUFFileType(named: name) }
    #expect(fault.kind == .usage)
    #expect(fault.message.contains("no such GGUF file type"))
  }

  @Test(arguments: ["", "x", "=q4_0", "x=", "x=q9_0", "x=iq2_k", "x=i32", "x=F8_E4M3", "(=q4_0"])
  func rulesThatAreNoneAreRefused(text: String) {
    #expect(throws: Fault.self) { try TensorTypeRule(parsing: text) }
  }

  /// The pattern as it was written, and where it goes wrong.
  @Test func aPatternThatIsNoneIsNamed() throws {
    let fault = try #require(throws: Fault.self) { try TensorTypeRule(parsing: "Blk.(3=q4_0") }
    #expect(fault.kind == .usage && fault.found == "Blk.(3" && fault.offset == 6)
    #expect(fault.message.hasSuffix("a ( without its )"))
  }

  @Test func aPatternThatTakesTooLongIsNamed() throws {
    let name = ExactText("blk.1." + String(repeating: "a", count: 60) + ".weight")
    let tensor = TypeMix.Tensor(name: name, extents: [256, 2], type: .f32)
    let recipe = GGUFRecipe(.q4KM, tensorTypes: [try TensorTypeRule(parsing: "(a|aa)+b=q8_0")])
    let fault = try #require(throws: Fault.self) {
      try TypeMix(recipe, tensors: [tensor], model: model)
    }
    #expect(fault.kind == .usage && fault.tensor == name && fault.found == "(a|aa)+b")
  }

  /// llama-quantize lowers the pattern and not the name.
  @Test(arguments: [
    ("BLK", true), (#"\.\D\."#, true), (#"^\w+\.3"#, true), ("DOWN|UP", true), ("FFN", false),
    ("ffn", false), ("_up.weigh$", false),
  ])
  func capitalsOfPatternsAreLowered(pattern: String, isFound: Bool) throws {
    let tensor = TypeMix.Tensor(name: "blk.3.FFN_up.weight", extents: [256, 2], type: .f32)
    let rule = try TensorTypeRule(parsing: pattern + "=q8_0")
    let mix = try TypeMix(GGUFRecipe(.q4KM, tensorTypes: [rule]), tensors: [tensor], model: model)
    #expect(mix.choices.map(\.type) == [isFound ? .q80 : .q4K])
  }

  @Test func layersThatTheModelLacksAreRefused() throws {
    let tensor = TypeMix.Tensor(name: "blk.9.ffn_down.weight", extents: [256, 2], type: .f32)
    let fault = try #require(throws: Fault.self) {
      try TypeMix(GGUFRecipe(.q4KM), tensors: [tensor], model: model)
    }
    #expect(fault.kind == .malformed && fault.tensor == tensor.name)
    // In this file type layers do not matter, and llama-quantize does not look at them.
    let mix = try TypeMix(GGUFRecipe(.mxfp4MoE), tensors: [tensor], model: model)
    #expect(mix.choices.map(\.type) == [.q80])
  }

  @Test func typesThatAreNoNumbersOfWeightsAreRefused() {
    let tensor = TypeMix.Tensor(name: "token_embd.weight", extents: [256, 2], type: .i32)
    #expect(throws: Fault.self) { try TypeMix(GGUFRecipe(.q4KM), tensors: [tensor], model: model) }
  }

  private let model = TypeMix.Model(blockCount: 4, expertCount: 4, headCount: 2)
  private let tensors = [
    TypeMix.Tensor(name: "token_embd.weight", extents: [256, 9], type: .f32),
    TypeMix.Tensor(name: "output.weight", extents: [256, 9], type: .f32),
    TypeMix.Tensor(name: "blk.3.ffn_gate_inp.weight", extents: [256, 4], type: .f32),
    TypeMix.Tensor(name: "blk.3.attn_q_a_norm.weight", extents: [2, 2], type: .f32),
    TypeMix.Tensor(name: "blk.3.ffn_down.weight", extents: [256, 4], type: .f32),
    TypeMix.Tensor(name: "blk.3.attn_k_b.weight", extents: [128, 4, 2], type: .f32),
  ]
}
