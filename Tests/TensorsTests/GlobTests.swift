import Tensors
import Testing

@Suite struct GlobTests {
  @Test(arguments: [
    ("*", "", true), ("*", "abc", true), ("a*c", "abc", true), ("a*c", "ab", false),
    ("?", "", false), ("a?c", "abc", true), ("", "", true), ("", "a", false),
    ("*.layers.*.q_?_proj*", "model.layers.61.self_attn.q_b_proj.weight", true),
    ("*a*b*", "xxbxxa", false), ("model.*", "Model.x", false), ("**a", "bca", true),
  ])
  func globsMatchWholeNames(pattern: String, name: String, matches: Bool) {
    #expect(Glob(pattern).matches(name) == matches)
  }

  @Test func hostileGlobsEnd() {
    let name = String(repeating: "a", count: 2_000)
    #expect(!Glob(String(repeating: "*a", count: 500) + "b").matches(name))
  }
}
