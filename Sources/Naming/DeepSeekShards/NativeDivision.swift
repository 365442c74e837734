package import Models
package import Platform
internal import Tensors

/// Into how many shards a network can be divided.
///
/// DeepSeek's code gives each shard as many heads, tokens of the vocabulary and routed experts as
/// any other, and equal parts of the dimensions that `NativeNames.Division` names. Where the scales
/// of FP8 blocks go with them, a part has to be made of whole blocks: `convert.py` stops where the
/// scales do not divide, and where they do but a block is cut its shards compute with wrong scales.
package struct NativeDivision: Sendable {
  /// What has to divide evenly.
  private struct Rule: Hashable {
    /// How many there are of it.
    let count: Int
    /// How many belong together: the rows of a head or a block.
    let unit: Int
    /// What it is, in the plural.
    let kind: String

    /// Whether so many shards get equal parts of whole units. One may hold a cut unit: its last.
    func allows(_ ranks: Int) -> Bool {
      ranks == 1 || count % ranks == 0 && count / ranks % unit == 0
    }

    var description: String {
      guard unit > 1 else { return "\(count) \(kind)" }
      let whole = "\(count / unit) \(kind) of \(unit)"
      return count % unit == 0 ? whole : whole + " and a part of one"
    }
  }

  private var rules: [(rule: Rule, tensor: ExactText)] = []
  private var known: Set<Rule> = []
  private let most: Int

  /// Collects what has to be divided.
  ///
  /// - Parameter config: what is to be written, FP8 blocks included.
  package init(_ config: ModelConfig) {
    most = config.heads
    let naming = NativeNaming(config)
    for tensor in config.expectedTensors() where tensor.storage != .scale {
      guard let division = naming.native(of: tensor.name)?.division else { continue }
      let dimensions = tensor.shape.dimensions
      switch division {
      case .replicated: continue
      case .expert: add(config.routedExperts, of: "routed experts", tensor.name)
      case .rows, .columns:
        let size = dimensions[division == .rows ? 0 : 1]
        let isOutput = tensor.name.contains(".o_a_proj.") || tensor.name.contains(".o_b_proj.")
        if let groups = config.v4?.outputGroups, isOutput {
          add(size, unit: size / groups, of: "groups of heads", tensor.name)
        } else if let heads = config.v4?.indexHeads, tensor.part == .indexer {
          add(size, unit: size / heads, of: "heads of the indexer", tensor.name)
        } else if tensor.part == .attention {
          add(size, unit: size / config.heads, of: "heads", tensor.name)
        } else {
          add(size, of: division == .rows ? "rows" : "columns", tensor.name)
        }
        guard tensor.storage == .fp8, let blocks = config.fp8?.blocks else { continue }
        let block = division == .rows ? blocks.rows : blocks.columns
        add(size, unit: block, of: "blocks", ExpectedTensor.scaleName(for: tensor.name))
      }
    }
  }

  private mutating func add(_ count: Int, unit: Int = 1, of kind: String, _ tensor: ExactText) {
    let rule = Rule(count: count, unit: unit, kind: kind)
    if known.insert(rule).inserted { rules.append((rule, tensor)) }
  }

  /// The largest number of shards that is possible.
  package var largest: Int {
    (1...most).last { ranks in rules.allSatisfy { $0.rule.allows(ranks) } } ?? 1
  }

  /// Throws `.usage` with the first tensor that so many shards would cut where it must not be, and
  /// the largest number that is possible.
  package func require(_ ranks: Int) throws(Fault) {
    guard let (rule, tensor) = rules.first(where: { !$0.rule.allows(ranks) }) else { return }
    throw Fault(
      .usage, "cannot be divided among \(ranks) shards", tensor: tensor,
      expected: "--mp \(largest) or a smaller number that divides it",
      found: rule.description)
  }
}
