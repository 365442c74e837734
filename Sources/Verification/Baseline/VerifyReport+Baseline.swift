internal import Models
internal import Passes
internal import Platform
internal import Reference
internal import Reports

extension VerifyReport {
  /// Compares a candidate with a baseline.
  init(
    baseline request: VerifyRequest, candidate: String, forecast: (Forecast) -> Void,
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    for (isAsked, what) in [
      (request.input != nil, "--tokens or --text: the baseline has its own"),
      (request.isolates, "--isolate, nor limits on a layer's own error"),
      (request.blameCount != nil, "--blame: both need the reference itself"),
    ] where isAsked {
      throw Fault(.usage, "a baseline does not go with \(what)", file: request.reference)
    }
    let baseline = try Baseline(path: request.reference)
    let model = try ModelFiles(
      path: candidate, threads: request.threads, ignoresUnknown: request.ignoresUnknown)
    try model.requireReadable(by: request.runtime)
    let header = baseline.header
    try LogitsComparison.requireLikeness(header.network, model.config)
    let mtpLayers = request.mtp ? min(header.mtpLayers, model.config.mtpLayers) : 0
    var notes = model.notes.map { "candidate: \($0)" }
    notes += request.mtp ? VerifyReport.mtpNote(header.mtpLayers, model.config.mtpLayers) : []
    notes.append(
      "NMSE is estimated from sketches: within \(Quantity.percent(StateSketch.bound)) of itself; "
        + "same experts are those of \(BaselineLayer.count(rows: header.rows(depth: 0))) tokens")
    notes += request.runtimeNotes(model.config)
    let batch = try TokenBatch(baseline.sequences, vocabSize: header.vocabSize)
    let run = try BaselineRun(
      model, batch: batch, mtpLayers: mtpLayers, keep: 0, threads: request.threads,
      memory: request.memory, runtime: request.runtime)
    if let expected = run.forecast { forecast(expected) }
    let comparison = try LogitsComparison(
      baseline, candidate: run.network, batch: batch, mtpLayers: mtpLayers, threads: run.threads,
      progress: progress)
    self.init(
      reference: request.reference, candidate: candidate, sequences: baseline.sequences,
      comparison: comparison, routedExperts: model.config.routedExperts,
      candidateTypes: TypeMap(model.inventory), thresholds: request.thresholds, notes: notes,
      configDifferences: ConfigDifference.all(reference: header.network, candidate: model),
      sizes: (nil, ModelSize(model)),
      layerBytes: StoredBytes(model.weights).layers(of: model.config),
      hashes: (try ModelHash(baseline: request.reference), ModelHash(candidate, model)),
      runtime: request.runtime,
      tokenText: request.tokenText ?? VerifyReport.tokenText(of: model))
  }
}

extension LogitsComparison {
  /// Runs a candidate against what a baseline keeps of a reference.
  fileprivate init(
    _ baseline: Baseline, candidate: Network, batch: TokenBatch, mtpLayers: Int,
    threads: Int, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    var states = try candidate.embed(batch)
    let embeddingNmse = baseline.embedding.nmse(of: StateSketch(states))
    let total = candidate.config.layers + mtpLayers
    var layers: [Layer] = []
    for index in 0..<candidate.config.layers {
      progress(index, total)
      let routing = try candidate.layer(index, hidden: states, batch: batch)
      layers.append(Layer(index, baseline.layers[index], BaselineLayer(states, routing)))
    }
    states = try candidate.finalNorm(states)
    func metrics(depth: Int) throws(Fault) -> LogitsMetrics {
      try baseline.heads[depth].metrics(
        candidate, normed: states, targets: batch.ids(depth: depth, distance: depth + 1),
        threads: threads)
    }
    let main = try metrics(depth: 0)
    var mtp: [LogitsMetrics] = []
    for index in 0..<mtpLayers where batch.rows(depth: index + 1) > 0 {
      let number = candidate.config.layers + index
      progress(number, total)
      let (hidden, routing) = try candidate.predictor(index, previous: states, batch: batch)
      states = hidden
      layers.append(Layer(number, baseline.layers[number], BaselineLayer(states, routing)))
      states = try candidate.finalNorm(states, depth: index + 1)
      mtp.append(try metrics(depth: index + 1))
    }
    self.init(main: main, mtp: mtp, embeddingNmse: embeddingNmse, layers: layers)
  }
}

extension LogitsComparison.Layer {
  fileprivate init(_ index: Int, _ reference: BaselineLayer, _ candidate: BaselineLayer) {
    self.init(
      index: index, hiddenNmse: reference.state.nmse(of: candidate.state),
      routerAgreement: reference.agreement(with: candidate),
      experts: LogitsComparison.ExpertCount.all(reference.experts, candidate.experts))
  }
}
