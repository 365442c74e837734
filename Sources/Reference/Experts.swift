internal import Codecs
internal import Locks
internal import Models
internal import Platform
internal import Tensors

/// The feed-forward half of a layer: one gated MLP, or routed experts beside a shared one.
struct FeedForward: Sendable {
  let config: ModelConfig
  let linear: Linear
  /// `model.layers.N.mlp.`
  let prefix: String
  /// Matrices that are read after those of this block.
  let following: [String]
  /// What bounds gates from above, and ups on both sides; nil for nothing.
  var bound: Float?
  /// The token of each row, where a table tells its experts; nil where scores choose them.
  var table: [Int]?

  /// x (tokens, hidden) → down · (silu(gate · x) · (up · x)), of inner size `width`, added to
  /// `output` of the same size, a row when x's is not needed any more.
  func dense(
    _ x: NormedRows, prefix: String, width: Int, addedTo output: Activations
  ) throws(Fault) {
    try linear.profile.measure(.mlp) { () throws(Fault) in
      for rows in linear.blocks(of: x.count) {
        let part = try x.rows(rows)
        let gate = Activations(unwrittenRows: rows.count, columns: width)
        let up = Activations(unwrittenRows: rows.count, columns: width)
        try linear.note(
          part.view, for: [prefix + "gate_proj.weight", prefix + "up_proj.weight"])
        try linear.project(part.view, prefix + "gate_proj.weight", into: gate.mutableView)
        try linear.project(part.view, prefix + "up_proj.weight", into: up.mutableView)
        try linear.forRows(rows.count) { linear.gate(gate, up: up, rows: $0, bound: bound) }
        try linear.note(gate.view, for: [prefix + "down_proj.weight"])
        try linear.project(gate.view, prefix + "down_proj.weight", into: part.mutableView)
        try linear.add(part, to: output, from: rows.lowerBound)
      }
    }
  }

  /// x (tokens, hidden) → the weighted sum of each token's experts plus the shared ones.
  func experts(_ x: NormedRows) throws(Fault) -> (output: Activations, routing: Routing) {
    let routing = try linear.profile.measure(.router) { () throws(Fault) in try route(x) }
    let output = try linear.profile.measure(.experts) { () throws(Fault) in
      try routed(x, routing)
    }
    if config.sharedExperts > 0 {
      try dense(
        x, prefix: prefix + "shared_experts.",
        width: config.moeIntermediateSize * config.sharedExperts, addedTo: output)
    }
    return (output, routing)
  }

  /// Which experts each token goes to, and with which weights.
  private func route(_ x: NormedRows) throws(Fault) -> Routing {
    let logits = Activations(unwrittenRows: x.count, columns: config.routedExperts)
    var isSound = [Bool](repeating: true, count: x.count)
    for rows in linear.blocks(of: x.count) {
      let part = try x.rows(rows)
      for (row, token) in rows.enumerated() {
        isSound[token] = VectorMath.isFinite(
          UnsafeBufferPointer(part[row]), level: linear.level)
      }
      try linear.note(part.view, for: [prefix + "gate.weight"])
      try linear.project(part.view, prefix + "gate.weight", into: logits.mutableView(rows))
    }
    let bias =
      config.architecture.hasCorrectionBias && table == nil
      ? try linear.weights.vector(
        prefix + "gate.e_score_correction_bias", count: config.routedExperts)
      : [Float](repeating: 0, count: config.routedExperts)
    try requireFinite(logits, bias, isSound: isSound)
    return Router(config).route(
      logits, bias: bias, chosen: try tableChoices(), level: linear.level)
  }

  /// The experts that the table has for each row, row after row; nil where scores choose.
  ///
  /// - Throws: `.malformed` where one is none of the layer's.
  private func tableChoices() throws(Fault) -> [Int]? {
    guard let table else { return nil }
    let name = prefix + "gate.tid2eid"
    let values = Activations(unwrittenRows: table.count, columns: config.expertsPerToken)
    try linear.weights.gather(
      name, indices: table, into: values.mutableView, level: linear.level)
    return try values.array.enumerated().map { place, value throws(Fault) in
      guard let expert = Int(exactly: value), (0..<config.routedExperts).contains(expert) else {
        throw Fault(
          .malformed, "sends a token to an expert that is not there",
          file: linear.weights.file(of: name), tensor: ExactText(name),
          expected: "0 to \(config.routedExperts - 1)",
          found: "\(value) for token \(table[place / config.expertsPerToken])")
      }
      return expert
    }
  }

  /// Throws where the router would choose by what is no number: its choice hides that, so that no
  /// number after it tells.
  ///
  /// - Parameter isSound: tokens whose input is finite. The experts get that too, so that what is not
  ///   shows further on, and the router is not to blame.
  private func requireFinite(
    _ logits: Activations, _ bias: [Float], isSound: [Bool]
  ) throws(Fault) {
    if let expert = bias.firstIndex(where: { !$0.isFinite }) {
      let name = prefix + "gate.e_score_correction_bias"
      throw Fault(
        .malformed, "is not finite, and the router would choose experts by it",
        file: linear.weights.file(of: name), tensor: ExactText(name), expected: "finite numbers",
        found: "\(bias[expert]) for expert \(expert)")
    }
    for token in 0..<logits.rows where isSound[token] {
      let scores = logits[token]
      guard let expert = scores.firstIndex(where: { !$0.isFinite }) else { continue }
      let name = prefix + "gate.weight"
      throw Fault(
        .malformed, "gives the router scores that are not finite",
        file: linear.weights.file(of: name), tensor: ExactText(name), expected: "finite numbers",
        found: "\(scores[expert]) for expert \(expert)")
    }
  }

  /// The matrices of an MLP, in the order of their use.
  static let parts = ["gate_proj.weight", "up_proj.weight", "down_proj.weight"]

  private var sharedNames: [String] {
    config.sharedExperts > 0
      ? FeedForward.parts.map { prefix + "shared_experts." + $0 } : []
  }

  /// A token that uses an expert, and with which weight.
  private struct Use {
    let token: Int
    let weight: Float
  }

  /// Some uses of an expert, which one thread computes.
  private struct Item {
    let expert: Int
    let uses: ArraySlice<Use>
  }

  /// More uses of an expert than these are divided, so that threads end together; reading and
  /// decoding the expert once more costs as much as some twenty of them.
  static let itemRows = 256

  /// The weights of an expert are read once for all tokens that use it, or for many of them.
  private func routed(_ x: NormedRows, _ routing: Routing) throws(Fault) -> Activations {
    let output = Activations(rows: x.count, columns: x.columns)
    // Groups are those of the experts' order and results are added in it, so that neither the
    // number of threads nor memory shows in the sums.
    let items = items(routing)
    linear.weights.expect(
      items.flatMap { item in
        FeedForward.parts.map { prefix + "experts.\(item.expert)." + $0 }
      } + sharedNames + following)
    var group: [Item] = []
    var rows = 0
    for item in items {
      if rows + item.uses.count > linear.plan.waitingRows, !group.isEmpty {
        try run(group, x, into: output)
        (group, rows) = ([], 0)
      }
      group.append(item)
      rows += item.uses.count
    }
    if !group.isEmpty { try run(group, x, into: output) }
    if let results = linear.rounds?.results {
      try linear.forRows(output.rows) { results.apply(to: output.mutableView($0)) }
    }
    return output
  }

  private func items(_ routing: Routing) -> [Item] {
    var uses = [[Use]](repeating: [], count: config.routedExperts)
    for (place, expert) in routing.experts.enumerated() {
      uses[expert].append(Use(token: place / routing.choices, weight: routing.weights[place]))
    }
    let most = min(FeedForward.itemRows, linear.plan.waitingRows)
    return uses.enumerated().flatMap { expert, uses in
      stride(from: 0, to: uses.count, by: most).map {
        Item(expert: expert, uses: uses[$0..<min($0 + most, uses.count)])
      }
    }
  }

  /// Runs the items of a group side by side, the largest first, then adds their results.
  private func run(
    _ group: [Item], _ x: NormedRows, into output: Activations
  ) throws(Fault) {
    var starts: [Int] = []
    var rows = 0
    for item in group {
      starts.append(rows)
      rows += item.uses.count
    }
    // (uses, hidden): inputs, in whose place the results come.
    let waiting = Activations(unwrittenRows: rows, columns: x.columns)
    let most = group.map(\.uses.count).max() ?? 0
    let inner = (0..<linear.threads).map { _ in
      Inner(most: most, width: config.moeIntermediateSize)
    }
    let order = group.indices.sorted { (group[$0].uses.count, $1) > (group[$1].uses.count, $0) }
    let noted = Guarded([InputSums.ExpertPart?](repeating: nil, count: group.count))
    try Workers.run(threads: linear.threads, count: order.count) {
      [starts] worker, place throws(Fault) in
      try Interruption.check()
      let (item, start) = (group[order[place]], starts[order[place]])
      let rows = start..<start + item.uses.count
      x.gather(item.uses.map(\.token), into: waiting.mutableView(rows))
      let input = linear.inputs.map { _ in InputSums.squares(waiting.view(rows)) }
      let part = inner[worker]
      try expert(item.expert, waiting, rows, part, worker: worker)
      guard let input else { return }
      let own = InputSums.squares(part.gate.view(0..<rows.count))
      noted.withLock { $0[order[place]] = InputSums.ExpertPart(input: input, inner: own) }
    }
    // In the items' order, whichever thread was done first.
    for (item, part) in zip(group, noted.withLock({ $0 })) {
      guard let part else { continue }
      linear.inputs?.add(
        part, rows: item.uses.count, to: "\(prefix)experts.\(item.expert).")
    }
    try linear.forRows(output.rows) { [starts] tokens in
      for (item, start) in zip(group, starts) {
        for (row, use) in item.uses.enumerated() where tokens.contains(use.token) {
          VectorMath.add(
            UnsafeBufferPointer(waiting[start + row]), times: use.weight, to: output[use.token],
            level: linear.level)
        }
      }
    }
  }

  /// What one thread has inside an expert: (most, width) each.
  private struct Inner: Sendable {
    let gate: Activations
    let up: Activations

    init(most: Int, width: Int) {
      gate = Activations(unwrittenRows: most, columns: width)
      up = Activations(unwrittenRows: most, columns: width)
    }
  }

  /// One expert on one thread: some rows of x (uses, hidden), which its output replaces.
  private func expert(
    _ expert: Int, _ x: Activations, _ rows: Range<Int>, _ inner: Inner, worker: Int
  ) throws(Fault) {
    let name = prefix + "experts.\(expert)."
    let (own, width) = (0..<rows.count, config.moeIntermediateSize)
    for (part, target) in [("gate_proj.weight", inner.gate), ("up_proj.weight", inner.up)] {
      try linear.weights.require(name + part, rows: width, columns: x.columns)
      try linear.projectAlone(
        x.view(rows), name + part, rows: 0..<width, into: target.mutableView(own), worker: worker)
    }
    linear.gate(inner.gate, up: inner.up, rows: own, bound: bound)
    let down = name + "down_proj.weight"
    try linear.weights.require(down, rows: x.columns, columns: width)
    try linear.projectAlone(
      inner.gate.view(own), down, rows: 0..<x.columns, into: x.mutableView(rows), worker: worker)
  }
}
