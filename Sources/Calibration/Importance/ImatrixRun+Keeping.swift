internal import Conversion
internal import Formats
internal import Models
internal import Parts
internal import Passes
internal import Platform
internal import Reference
internal import Reports

/// What takes what was measured, tensor by tensor.
protocol ImportanceSink {
  associatedtype Result

  /// Takes what was measured of a tensor.
  mutating func write(_ measured: MeasuredImportance) throws(Fault)
  /// Ends the file, which is complete then.
  mutating func finish() throws(Fault) -> Result
}

extension ImatrixRequest {
  /// What a run is: the same one has the same sums, whatever is made of them.
  func identity(_ files: ModelFiles) -> ConversionIdentity {
    let config = CRC32C(files.checkpoint.config.text(indent: nil)).text
    return ConversionIdentity(
      recipe: .object([
        "imatrix": .string(PartResults.text(of: sequences)), "mtp": .string(mtp ? "keep" : "drop"),
        "processOutput": .bool(output),
      ]), of: files.checkpoint, output: config)
  }
}

extension ImatrixRun {
  /// What a long run says of the disk before it begins; nil where it keeps nothing.
  package var keepingText: String? {
    guard keeps else { return nil }
    return "\(Quantity.bytes(keptBytes)) on the disk beside the output, so that --resume goes on "
      + "after an interruption"
  }

  /// Whether what was measured is kept on the way. A short run does not pay for that.
  private var keeps: Bool { request.keepEvery.map { $0 > 0 } ?? (forecast != nil) }

  /// Bytes that keep what was measured: all sums, and the states behind a layer twice.
  private var keptBytes: Int {
    let rows = batches.reduce(0) { $0 + $1.rows() }
    let keys = network.config.indexer == nil ? 0 : (longest + 63) / 64 + 1
    let row =
      Network.stateColumns(network.config) * MemoryLayout<Float>.stride
      + keys * MemoryLayout<UInt64>.stride
    let numbers = tensors.reduce(0) { $0 + $1.entry.numberCount }
    return 2 * rows * row + numbers * MemoryLayout<Double>.stride
  }

  /// Bytes of the output, or a little more.
  private var outputBytes: Int {
    let perNumber = request.isPart ? 2 * MemoryLayout<Double>.stride : MemoryLayout<Float>.stride
    return tensors.reduce(0) { $0 + ($1.entry.sums + $1.entry.parts + 64) * perNumber }
  }

  /// Measures everything, from where an earlier run has come to, and hands it to a sink, tensor by
  /// tensor.
  ///
  /// Where the output is there already and may not be replaced, it is the output of a run that was ended
  /// before it could say so, if what that run has kept comes to the same bytes.
  ///
  /// - Parameters:
  ///   - progress: called with the layers done and all layers.
  ///   - open: makes the sink, which writes to the place that it is given.
  /// - Throws: what the forward pass and the sink throw, and `.cannotCreate` where unfinished work is in
  ///   the way.
  func measure<Sink: ImportanceSink>(
    beside destination: OutputPath, progress: (_ done: Int, _ total: Int) -> Void,
    into open: (OutputPath) throws(Fault) -> Sink
  ) throws(Fault) -> Sink.Result {
    let isTaken = destination.standing != nil && !destination.mayReplace
    let isBegun = try Folder.kind(of: destination.workPath) == .folder
    guard isBegun || keeps && !isTaken else {
      if isTaken { try requireFree(destination) }
      return try measureAtOnce(beside: destination, progress: progress, into: open)
    }
    let work = try ImatrixWork(
      files, request, layers: layers, bytes: keptBytes + outputBytes, beside: destination)
    if isTaken { return try finished(work, destination, into: open) }
    do throws(Fault) {
      try measure(beside: destination, keepingIn: work, progress: progress)
      let result = try work.handOut(tensors, to: open(destination))
      work.remove()
      return result
    } catch {
      throw work.concluding(error)
    }
  }

  /// Throws `.cannotCreate`, as for any output that is there already.
  private func requireFree(_ destination: OutputPath) throws(Fault) {
    _ = try OutputPath(destination.path, overwrite: false)
  }

  /// What a run comes to that was ended behind its last step, if the output that is there has the bytes
  /// that its work makes.
  private func finished<Sink: ImportanceSink>(
    _ work: ImatrixWork, _ destination: OutputPath, into open: (OutputPath) throws(Fault) -> Sink
  ) throws(Fault) -> Sink.Result {
    guard let kept = work.kept else {
      work.remove()
      try requireFree(destination)
      throw Fault(.cannotCreate, "comes and goes", file: destination.path)
    }
    if kept.layers < layers { try requireFree(destination) }
    let place = try work.placeBeside()
    let result = try work.handOut(tensors, to: open(place))
    guard try InputFile(path: place.path).hasBytes(of: InputFile(path: destination.path)) else {
      throw Fault(
        .cannotCreate, "exists already", file: destination.path,
        expected: "what its unfinished work makes, a new name, or --overwrite")
    }
    work.remove()
    return result
  }

  /// The same in one go.
  private func measureAtOnce<Sink: ImportanceSink>(
    beside destination: OutputPath, progress: (_ done: Int, _ total: Int) -> Void,
    into open: (OutputPath) throws(Fault) -> Sink
  ) throws(Fault) -> Sink.Result {
    var sink = try open(destination)
    try run(from: 0, nil, beside: destination, progress: progress) { measured throws(Fault) in
      try sink.write(measured)
    } _: { _, _ in
    }
    return try sink.finish()
  }

  private func measure(
    beside destination: OutputPath, keepingIn work: ImatrixWork,
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    let done = work.kept?.layers ?? 0
    var states: StateStore?
    if (1..<layers).contains(done) {
      var kept = try store(behind: done, beside: destination)
      try work.fill(&kept)
      states = kept
    }
    try run(from: done, states, beside: destination, progress: progress) { measured throws(Fault) in
      try work.append(measured)
    } _: { layers, states throws(Fault) in
      try work.note(layers: layers, states)
    }
  }
}
