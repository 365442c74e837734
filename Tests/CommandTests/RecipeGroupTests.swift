import Support
import Testing

/// What `fathom recipe` gives one type together.
@Suite struct RecipeGroupTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// How many groups were allowed, and which there are.
  private let divisions: [(most: Int, names: [String])] = [
    (
      8,
      [
        "output", "token_embd", "attention", "dense", "experts down", "shared experts",
        "experts gate", "experts up",
      ]
    ),
    (
      14,
      [
        "output", "token_embd", "attn_k_b", "attn_kv_a_mqa", "attn_output, layer 0",
        "attn_output, layer 1", "attn_q_a", "attn_q_b", "attn_v_b", "dense", "experts down",
        "shared experts", "experts gate", "experts up",
      ]
    ),
  ]

  /// The groups of a recipe by name, each with its type, and by tensor the type of its rule.
  private func groups(
    _ sample: String, most: Int, _ arguments: String...
  ) throws -> (names: [String], types: [String: String], rules: [String: String]) {
    let ids = try workspace.write("ids.json", "\([(0..<24).map { 3 + $0 * 7 }])".utf8)
    let run = try FathomProcess(
      [
        "recipe", "\(Repository.samples)/\(sample)", "--tokens", ids, "--groups",
        "\(most)", "-o", workspace.path("groups.json"), "--overwrite", "--format", "json",
      ] + arguments)
    try #require(run.status == 0, "\(run.messages)")
    let report = try JSONDocument(run.output)
    let groups = report.list("evidence", "groups")
    let rules = report.list("rules")
    func table(_ list: [JSONDocument], _ key: String) -> [String: String] {
      Dictionary(uniqueKeysWithValues: list.map { ($0.string(key) ?? "", $0.string("type") ?? "") })
    }
    return (groups.compactMap { $0.string("name") }, table(groups, "name"), table(rules, "match"))
  }

  @Test func theLargestGroupsAreDivided() throws {
    for (most, names) in divisions {
      let found = try groups("tiny-trained", most: most, "--bpw", "6", "--types", "q4_k,q8_0")
      #expect(found.names == names)
    }
    // Down to single tensors, of which each MTP layer's are with those of the last layer.
    let found = try groups("tiny-trained", most: 99, "--bpw", "6", "--types", "q4_k,q8_0")
    #expect(found.names.count == 23)
    for (name, group) in [
      ("blk.2.nextn.embed_tokens.weight", "token_embd"),
      ("blk.2.nextn.shared_head_head.weight", "output"),
      ("blk.2.nextn.eh_proj.weight", "attn_output, layer 1"),
      ("blk.2.attn_q_a.weight", "attn_q_a, layer 1"),
      ("blk.2.ffn_down_exps.weight", "experts down"),
    ] {
      #expect(found.rules[name] != nil && found.rules[name] == found.types[group], "\(name)")
    }
    #expect(Set(found.types.values).count == 2)
  }

  /// What loaders join has one scheme, and a tied model's head is its embedding.
  @Test func groupsAreWhatAFormatLetsDiffer() throws {
    let joined = try groups(
      "tiny-kimi-k25", most: 99, "--to", "compressed-tensors", "--bpw", "12", "--types",
      "int4-g32,fp8-channel,plain")
    #expect(
      joined.names == [
        "attention, layer 0", "attention, layer 1", "dense", "experts", "shared experts",
      ])
    let tied = try groups(
      "tiny-tied", most: 8, "--to", "mlx", "--bpw", "14", "--types", "4bit-g32,8bit-g32,bf16")
    #expect(!tied.names.contains("head") && tied.names.contains("embedding"))
  }
}
