internal import Codecs
internal import Models
internal import Platform
internal import Tensors

/// The feed-forward half of a layer: one gated MLP, or routed experts beside a shared one.
struct FeedForward: Sendable {
  let config: DeepSeekV3Config
  let linear: Linear
  /// `model.layers.N.mlp.`
  let prefix: String

  /// x (tokens, hidden) → down · (silu(gate · x) · (up · x)), of inner size `width`.
  func dense(_ x: Activations, prefix: String, width: Int) throws(Fault) -> Activations {
    let gate = try linear.project(x, prefix + "gate_proj.weight", outputs: width)
    let up = try linear.project(x, prefix + "up_proj.weight", outputs: width)
    linear.gate(gate, up: up)
    return try linear.project(gate, prefix + "down_proj.weight", outputs: config.hiddenSize)
  }

  /// x (tokens, hidden) → the weighted sum of each token's experts plus the shared ones.
  func experts(_ x: Activations) throws(Fault) -> (output: Activations, routing: Routing) {
    let logits = try linear.project(x, prefix + "gate.weight", outputs: config.routedExperts)
    let bias = try linear.weights.vector(
      prefix + "gate.e_score_correction_bias", count: config.routedExperts)
    let routing = Router(config).route(logits, bias: bias, level: linear.level)
    let output = try routed(x, routing)
    if config.sharedExperts > 0 {
      let shared = try dense(
        x, prefix: prefix + "shared_experts.",
        width: config.moeIntermediateSize * config.sharedExperts)
      output.add(shared, level: linear.level)
    }
    return (output, routing)
  }

  /// A token that uses an expert, and with which weight.
  private struct Use {
    let token: Int
    let weight: Float
  }

  /// Values of experts' results that may wait to be added, 64 MB, where twice x is less.
  private static let waitingValues = 1 << 24

  /// Each expert's weights are read once, for all tokens that use it. Experts run side by side in
  /// groups; their results are added in the order of the experts, so that neither the number of
  /// threads nor the grouping shows in the sums.
  private func routed(_ x: Activations, _ routing: Routing) throws(Fault) -> Activations {
    var uses = [[Use]](repeating: [], count: config.routedExperts)
    for (place, expert) in routing.experts.enumerated() {
      uses[expert].append(Use(token: place / routing.choices, weight: routing.weights[place]))
    }
    let active = uses.indices.filter { !uses[$0].isEmpty }
    let output = Activations(rows: x.rows, columns: x.columns)
    var start = 0
    let limit = max(2 * x.rows, FeedForward.waitingValues / x.columns)
    while start < active.count {
      var (end, rows) = (start, 0)
      repeat {
        rows += uses[active[end]].count
        end += 1
      } while end < active.count && rows + uses[active[end]].count <= limit
      let group = Array(active[start..<end])
      let results = try run(group, uses, x)
      for (expert, result) in zip(group, results) { add(result, uses[expert], to: output) }
      start = end
    }
    return output
  }

  /// The outputs of some experts, (its tokens, hidden) each.
  private func run(
    _ group: [Int], _ uses: [[Use]], _ x: Activations
  ) throws(Fault) -> [Activations] {
    let results = group.map { Activations(unwrittenRows: uses[$0].count, columns: x.columns) }
    try Workers.run(threads: linear.threads, count: group.count) { worker, item throws(Fault) in
      try Interruption.check()
      let expert = group[item]
      try self.expert(
        expert, x.rows(uses[expert].map(\.token)), into: results[item], worker: worker)
    }
    return results
  }

  /// One expert on one thread: x (its tokens, hidden) → (its tokens, hidden).
  private func expert(
    _ expert: Int, _ x: Activations, into result: Activations, worker: Int
  ) throws(Fault) {
    let name = prefix + "experts.\(expert)."
    let width = config.moeIntermediateSize
    let gate = Activations(unwrittenRows: x.rows, columns: width)
    let up = Activations(unwrittenRows: x.rows, columns: width)
    for (part, target) in [("gate_proj.weight", gate), ("up_proj.weight", up)] {
      try linear.weights.require(name + part, rows: width, columns: x.columns)
      linear.multiply(
        x, try linear.weights.matrix(name + part, rows: 0..<width), into: target, worker: worker)
    }
    linear.gate(gate, up: up)
    let down = name + "down_proj.weight"
    try linear.weights.require(down, rows: x.columns, columns: width)
    linear.multiply(
      gate, try linear.weights.matrix(down, rows: 0..<x.columns), into: result, worker: worker)
  }

  private func add(_ result: Activations, _ uses: [Use], to output: Activations) {
    for (row, use) in uses.enumerated() {
      VectorMath.add(
        UnsafeBufferPointer(result[row]), times: use.weight, to: output[use.token],
        level: linear.level)
    }
  }
}
