package import Conversion
internal import Formats
internal import Models
package import Parts
package import Passes
package import Platform
internal import Reference

/// `fathom verify` divided among runs: each compares on consecutive sequences with about as many
/// tokens.
///
/// A part leaves what it has measured at each position, and its layers' sums in twice F64's precision;
/// all means, percentiles and errors are made of these in the end, as one run makes them.
package struct VerifyParts {
  private let work: ComparisonWork
  private let isolates: Bool
  /// The files of the parts.
  package let results: PartResults

  /// Opens everything and divides the sequences.
  ///
  /// - Throws: `.usage` for a baseline, whose positions are drawn from all sequences at once; what
  ///   opening the models and reading the tokens throw.
  package init(_ request: VerifyRequest) throws(Fault) {
    guard try !Baseline.isBaseline(request.reference) else {
      throw Fault(
        .usage,
        "a baseline was made of all its sequences at once: it does not go with --part and --finish",
        file: request.reference)
    }
    work = try ComparisonWork(request)
    let vocabSize = work.reference.config.vocabSize
    _ = try TokenBatch(work.sequences, vocabSize: vocabSize)
    isolates = request.isolates || request.isolatesModels
    var options = ["--mtp \(request.mtp ? "keep" : "drop")"]
    if isolates { options.append("--isolate") }
    if let runtime = request.runtime { options.append("--as \(runtime.rawValue)") }
    results = PartResults(
      of: "verify",
      models: ([work.reference] + work.candidates).map {
        ($0.inventory, $0.checkpoint.config, $0.checkpoint.folder)
      },
      sequences: work.sequences, options: options)
  }

  private func sequences(of part: PartChoice) -> [[Int]] {
    Array(work.sequences[part.items(of: work.sequences.map(\.count))])
  }

  private var sizes: NumberTape.Sizes {
    let config = work.reference.config
    return NumberTape.Sizes(
      vocabulary: config.vocabSize, experts: config.routedExperts, choices: config.expertsPerToken)
  }

  /// Sums of nothing, by candidate.
  private func emptySums() -> [ComparisonSums] {
    let config = work.reference.config
    return work.candidates.map { candidate in
      ComparisonSums(
        layers: config.layers,
        mtpLayers: work.request.mtp ? min(config.mtpLayers, candidate.config.mtpLayers) : 0,
        isolates: isolates)
    }
  }

  /// By head the token that each position should predict; nothing for no sequences.
  private func targets(_ sequences: [[Int]], heads: Int) throws(Fault) -> [[Int?]] {
    guard !sequences.isEmpty else { return (0..<heads).map { _ in [] } }
    let batch = try TokenBatch(sequences, vocabSize: work.reference.config.vocabSize)
    return (0..<heads).map { batch.ids(depth: $0, distance: $0 + 1) }
  }

  /// Compares on the sequences of a part and writes what was measured. A part without any leaves
  /// nothing to add.
  ///
  /// - Parameters:
  ///   - numbers: where what was measured goes.
  ///   - destination: where the part's file goes.
  ///   - forecast: called before a comparison that takes long.
  ///   - progress: called with the layers done and all layers.
  /// - Returns: sequences and tokens that were compared.
  /// - Throws: what the forward pass and the writing throw.
  package func run(
    _ part: PartChoice, numbers: OutputPath, to destination: OutputPath,
    forecast: (Forecast) -> Void = { _ in }, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> (sequences: Int, tokens: Int) {
    let own = sequences(of: part)
    var all = emptySums()
    if !own.isEmpty {
      let run = try work.run(own)
      if let expected = run.forecast { forecast(expected) }
      all = try run.sums(progress: progress)
      for model in [work.reference] + work.candidates {
        for shard in model.inventory.shards { try shard.file.requireUnchanged() }
      }
    }
    var writer = try PartNumbers.Writer(at: numbers)
    for var sums in all {
      for list in 0..<sums.lists {
        var tape = NumberTape(sizes)
        sums.pass(list: list, &tape, targets: sums.heads.map { _ in [] })
        try writer.append(tape.numbers)
      }
    }
    try results.write(writer.commit(), of: part, to: destination)
    return (own.count, own.reduce(0) { $0 + $1.count })
  }

  /// What one run would say.
  ///
  /// - Throws: as `PartResults.allNumbers(in:)` does, and `.malformed` where a part holds anything but
  ///   what its sequences have.
  package func merged(in folder: String) throws(Fault) -> VerifyReports {
    let readers = try results.allNumbers(in: folder)
    var all = emptySums()
    for (part, reader) in zip(PartChoice.all(of: readers.count), readers) {
      for (place, sums) in try read(reader, sequences(of: part)).enumerated() {
        all[place].add(sums)
      }
    }
    return VerifyReports(try work.reports(work.comparisons(all)) { _, _, _ in nil })
  }

  private func read(
    _ reader: PartNumbers.Reader, _ sequences: [[Int]]
  ) throws(Fault) -> [ComparisonSums] {
    var all = emptySums()
    let lists = all.reduce(0) { $0 + $1.lists }
    guard reader.counts.count == lists else {
      throw reader.fault(
        "does not hold sums of each layer and head", expected: "\(lists)",
        found: "\(reader.counts.count)")
    }
    var first = 0
    for place in all.indices {
      let targets = try targets(sequences, heads: all[place].heads.count)
      for list in 0..<all[place].lists {
        var tape = NumberTape(sizes, reading: try reader.read(first + list))
        all[place].pass(list: list, &tape, targets: targets)
        guard tape.isRead else {
          throw reader.fault("does not hold what its sequences have, in list \(first + list)")
        }
      }
      first += all[place].lists
    }
    return all
  }
}
