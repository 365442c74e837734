import Foundation
import Support
import Testing

/// `fathom verify` layer by layer, and limits from a file.
@Suite struct IsolationTests {
  let workspace: Workspace
  let reference = Repository.samples + "/" + PlantedFault.sample

  init() throws { workspace = try Workspace() }

  private func report(
    _ candidate: String, status: Int32 = 0, _ options: String...
  ) throws -> JSONDocument {
    try verifyDocument([reference, candidate] + options, status: status)
  }

  private func broken() throws -> String {
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try PlantedFault.transposeBlock(editor)
    return editor.path
  }

  @Test func aLayersOwnErrorIsToldApartFromWhatItInherits() throws {
    let layers = try report(try broken(), "--isolate").list("layers")
    let hidden = layers.compactMap { $0.number("hiddenNmse") }
    let own = layers.compactMap { $0.number("ownNmse") }
    #expect(hidden[0] == 0 && own[0] == 0)
    // Layer 1 inherits nothing; the MTP layer has nothing of its own.
    #expect(own[1] > 0 && own[1] == hidden[1])
    #expect(own[2] == 0 && hidden[2] > 0)
    #expect(layers[2].number("ownRouterAgreement") == 1)
  }

  @Test func aLayerBehindABrokenOneHasNoErrorOfItsOwn() throws {
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try editor.change("model.layers.0.mlp.down_proj.weight") { $0.swapAt(0, 1) }
    let layers = try report(editor.path, "--isolate").list("layers")
    let own = layers.compactMap { $0.number("ownNmse") }
    #expect(own[0] > 0 && own[1] == 0 && own[2] == 0)
    #expect(layers.allSatisfy { ($0.number("hiddenNmse") ?? 0) > 0 })
  }

  @Test func theExpertThatIsBrokenStandsOut() throws {
    let layer = try report(try broken(), "--isolate").list("layers")[1]
    let experts = layer.list("experts")
    #expect(experts.reduce(0) { $0 + ($1.integer("uses") ?? 0) } == 64 * 3)
    for expert in experts {
      let share = expert.number("errorShare") ?? -1
      #expect(expert.integer("index") == 3 ? share > 0.9 : share < 0.1 && share >= 0)
    }
    #expect(experts.allSatisfy { $0.integer("uses") == $0.integer("candidateUses") })
  }

  /// The candidate's numbers are the same whether the reference's states go with them or not.
  @Test(arguments: ["tiny-fp8", "tiny-mtp2"])
  func isolationChangesNoOtherNumber(sample: String) throws {
    let (source, other) = (Repository.samples + "/" + sample, workspace.path("other"))
    let run = try FathomProcess("convert", source, other, "--to", "hf", "--quant", "bf16")
    #expect(run.status == 0, "\(run.messages)")
    let documents = try [[], ["--isolate"]].map { options in
      try JSONDocument(
        FathomProcess(["verify", source, other, "--format", "json"] + options).output)
    }
    for head in ["main", "mtp"] {
      for key in ["klMean", "nmse", "perplexityCandidate"] {
        #expect(documents[0].number(head, key) == documents[1].number(head, key))
      }
    }
    for (plain, isolated) in zip(documents[0].list("layers"), documents[1].list("layers")) {
      #expect(plain.number("hiddenNmse") == isolated.number("hiddenNmse"))
      #expect(plain.number("routerAgreement") == isolated.number("routerAgreement"))
      #expect(plain["ownNmse"] == nil && isolated["ownNmse"] != nil)
    }
  }

  @Test func otherWeightsOfTheSameExpertsAreMeasured() throws {
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try editor.set("routed_scaling_factor", 1.25)
    let layer = try report(editor.path, "--isolate").list("layers")[1]
    #expect(layer.number("ownRouterAgreement") == 1)
    // Half of 2.5: each weight is off by half of itself.
    #expect(abs((layer.number("ownRouterWeightDifference") ?? 0) - 0.5) < 1e-6)
  }

  @Test func theWorstPositionsHaveTheirTokens() throws {
    let tokens = try workspace.write("tokens.json", "[[7, 8, 9, 10], [3], [5, 6]]".utf8)
    let worst = try report(try broken(), "--tokens", tokens).list("worstPositions")
    let sequences = [[7, 8, 9, 10], [3], [5, 6]]
    #expect(worst.count { $0.string("head") == "main" } == 7)
    #expect(worst.count { $0.string("head") == "mtp" } == 4)
    for row in worst {
      let (sequence, position) = (row.integer("sequence") ?? 0, row.integer("position") ?? 0)
      #expect(row.integer("token") == sequences[sequence][position])
      let next = position + 1 < sequences[sequence].count ? sequences[sequence][position + 1] : nil
      #expect(row.integer("next") == next)
    }
    let divergences = worst.filter { $0.string("head") == "main" }.compactMap { $0.number("kl") }
    #expect(divergences == divergences.sorted(by: >))
  }

  // MARK: Limits from a file

  private func limits(_ text: String) throws -> String {
    try workspace.write("limits.json", text.utf8)
  }

  @Test func limitsComeFromAFile() throws {
    let file = try limits(
      """
      {"main": {"max-kl": 1e-9, "min-top1": 0.1}, "mtp": {"max-kl": 9},
       "layers": {"max-nmse": 1e-12, "max-own-nmse": 9, "min-router-agreement": 0.01}}
      """)
    let schema = try JSONSchema(named: "verify")
    let document = try JSONDocument(String(decoding: contents(file), as: UTF8.self))
    #expect(schema.faults(in: document).isEmpty)
    let candidate = try broken()
    let rows = try report(candidate, status: 1, "--thresholds", file).list("thresholds")
    let names = [
      "max-kl", "min-top1", "mtp-min-top1", "mtp-max-kl", "max-layer-nmse", "max-layer-own-nmse",
      "min-router-agreement",
    ]
    #expect(rows.map { $0.string("name") } == names)
    #expect(
      rows.map { $0["holds"] as? Bool } == [false, true, true, true, false, true, true])
    // Options win; what they do not name stays.
    let looser = try report(
      candidate, "--thresholds", file, "--max-kl", "9", "--max-layer-nmse", "9"
    ).list("thresholds")
    #expect(looser.allSatisfy { $0["holds"] as? Bool == true } && looser.count == 7)
  }

  @Test(arguments: [
    ("{\"maxkl\": 1}", "maxkl"), ("{\"main\": {\"max_kl\": 1}}", "max_kl"),
    ("{\"main\": {\"max-kl\": \"1\"}}", "main.max-kl"), ("{\"main\": 1}", "main"),
    ("[]", "document"), ("{\"layers\": {\"max-kl\": 1}}", "max-kl"), ("{", "JSON"),
  ])
  func whatIsNoFileOfLimitsIsRefused(text: String, message: String) throws {
    let file = try limits(text)
    let run = try FathomProcess("verify", reference, reference, "--thresholds", file)
    #expect(run.status == 65 && run.messages.contains(message), "\(run.messages)")
    let isJSON = (try? JSONDocument(text)) != nil
    if isJSON {
      #expect(try !JSONSchema(named: "verify").faults(in: JSONDocument(text)).isEmpty)
    }
  }

  @Test func aMissingFileOfLimitsIsNotFound() throws {
    let path = workspace.path("none")
    #expect(try FathomProcess("verify", reference, reference, "--thresholds", path).status == 66)
  }
}
