internal import Codecs
package import Formats
internal import Models
internal import Naming
package import Platform
internal import Reference
internal import Tensors

/// A tensor of a GGUF file for which inputs are measured, and where they come from.
struct ImportanceTensor: Sendable {
  /// Name and size in the file.
  let entry: ImportanceOutput.Entry
  /// Its layer; nil for the head.
  let layer: Int?
  /// Whose sums they are, in the order of the file.
  let keys: [InputSums.Key]
  /// Columns of each of those.
  let columns: Int

  /// The tensors that llama-imatrix would measure, and those of the MTP layers, which it leaves out.
  ///
  /// - Parameters:
  ///   - mtpLayers: MTP layers that will be run.
  ///   - output: whether the head is measured too.
  static func all(
    of config: ModelConfig, mtpLayers: Int, output: Bool
  ) -> [ImportanceTensor] {
    config.ggufTensors().compactMap { tensor in
      let isHead = tensor.part == .head && tensor.layer == nil
      let isMeasured = tensor.layer.map { $0 < config.layers + mtpLayers } ?? (isHead && output)
      let others: Set<ExpectedTensor.Part> = [
        .norm, .embedding, .embeddingCopy, .headCopy, .routingTable,
      ]
      // Nothing is multiplied with the places of tokens in an entry.
      guard isMeasured, tensor.shape.dimensions.count >= 2, !others.contains(tensor.part),
        !tensor.name.hasSuffix("_ape.weight")
      else { return nil }
      return ImportanceTensor(tensor)
    }
  }

  private init?(_ tensor: DialectTensor) {
    let shape = tensor.shape.dimensions
    guard let columns = shape.last, let source = tensor.sources.first?.text else { return nil }
    self.columns = columns
    layer = tensor.layer
    switch tensor.form {
    case .whole, .beside: keys = [InputSums.Key(source)]
    case .experts: keys = tensor.sources.map { InputSums.Key($0.text) }
    case .expertPairs:
      // Both of a pair have the same inputs.
      keys = stride(from: 0, to: tensor.sources.count, by: 2).map {
        InputSums.Key(tensor.sources[$0].text)
      }
    case .keyHeads: keys = (0..<shape[0]).map { InputSums.Key(source, .keyHead($0)) }
    case .valueHeads: keys = (0..<shape[0]).map { InputSums.Key(source, .valueHead($0)) }
    }
    let isStack = tensor.form == .experts || tensor.form == .expertPairs
    entry = ImportanceOutput.Entry(
      name: tensor.name, sums: keys.count * columns, parts: isStack ? keys.count : 1)
  }

  /// What was summed, in the order of the file; zeros for what no token has reached.
  func measured(_ sums: [InputSums.Key: InputSums.Sums]) -> MeasuredImportance {
    var result = MeasuredImportance(entry)
    for (index, key) in keys.enumerated() {
      guard let own = sums[key] else { continue }
      result.sums.add(own.squares, from: index * columns)
      // Heads of a tensor have all seen the same tokens.
      result.tokens[entry.parts == 1 ? 0 : index] = own.tokens
    }
    return result
  }
}

/// Sums of squares of a tensor's inputs, and of how many tokens they are.
struct MeasuredImportance: Sendable {
  let entry: ImportanceOutput.Entry
  var sums: ColumnSums
  var tokens: [Int]

  init(_ entry: ImportanceOutput.Entry) {
    self.entry = entry
    sums = ColumnSums(columns: entry.sums)
    tokens = [Int](repeating: 0, count: entry.parts)
  }

  /// Adds what a file holds of the tensor; nothing where it does not speak of it.
  ///
  /// - Parameter chunkSize: tokens that a chunk stands for in a file of the older format.
  /// - Throws: what reading throws.
  mutating func add(_ file: ImportanceMatrix, chunkSize: Int) throws(Fault) {
    guard let stored = file.stored(of: entry.name) else { return }
    let factor = file.chunkSize == nil ? chunkSize : 1
    let step = 1 << 18
    for start in stride(from: 0, to: stored.sums, by: step) {
      let range = start..<min(start + step, stored.sums)
      for (place, sum) in zip(range, try file.sums(of: entry.name, range)) {
        sums.add(Double(sum) * Double(factor), to: place)
      }
    }
    for part in tokens.indices {
      let count = stored.tokens[stored.tokens.count == tokens.count ? part : 0]
      tokens[part] += Int(count) * factor
    }
  }

  /// Writes it.
  func write(to output: ImportanceOutput) throws(Fault) {
    try output.write(entry, sums: (0..<sums.count).map { Float(sums[$0]) }, tokens: tokens)
  }
}

extension ImportanceOutput.Entry {
  /// How many `MeasuredImportance.numbers` there are.
  var numberCount: Int { 2 * sums + parts }
}

extension MeasuredImportance {
  /// Sums and counts as an unfinished run or a part of one leaves them: of each sum the two halves, then
  /// the counts.
  var numbers: [Double] { sums.highs + sums.lows + tokens.map { Double($0) } }

  /// Adds what such a run has left; false where it is something else.
  mutating func add(_ numbers: [Double]) -> Bool {
    let counts = numbers.suffix(tokens.count).compactMap { Int(exactly: $0) }
    guard numbers.count == entry.numberCount, counts.count == tokens.count,
      counts.allSatisfy({ (0...1 << 40).contains($0) })
    else { return false }
    sums.add(
      ColumnSums(
        highs: Array(numbers[..<sums.count]),
        lows: Array(numbers[sums.count..<2 * sums.count])))
    for part in tokens.indices { tokens[part] += counts[part] }
    return true
  }

  /// Throws `.malformed` where a sum is no number.
  func requireFinite() throws(Fault) {
    guard let place = (0..<sums.count).first(where: { !Float(sums[$0]).isFinite }) else { return }
    throw Fault(
      .malformed, "has inputs whose squares add up to no number", tensor: entry.name,
      expected: "finite sums", found: "\(sums[place]) as sum \(place)")
  }
}

/// Importance matrices of other runs, which are added to one.
package struct ImportanceMerge: Sendable {
  /// The files, in order.
  package let files: [ImportanceMatrix]

  /// Opens the files.
  ///
  /// - Throws: as `ImportanceMatrix` does.
  package init(paths: [String]) throws(Fault) {
    var files: [ImportanceMatrix] = []
    for path in paths { files.append(try ImportanceMatrix(path: path)) }
    self.files = files
  }

  /// Names of the texts of all files, in order.
  var datasets: [String] { files.flatMap(\.datasets) }

  /// The entries of a file that adds all of these to `own`.
  ///
  /// Where one file counts a stack's matrices apart and another does not, they are counted apart, as
  /// llama-imatrix does it.
  ///
  /// - Throws: `.malformed` where two speak of different sizes.
  func entries(_ own: [ImportanceOutput.Entry]) throws(Fault) -> [ImportanceOutput.Entry] {
    var entries = Dictionary(uniqueKeysWithValues: own.map { ($0.name, $0) })
    for file in files {
      for name in file.names.sorted() {
        guard let stored = file.stored(of: name) else { continue }
        let parts = stored.tokens.count
        let known = entries[name]
        let fits =
          known.map { $0.sums == stored.sums && ($0.parts == parts || min($0.parts, parts) == 1) }
          ?? true
        guard fits else {
          throw Fault(
            .malformed, "measured another shape than the rest", file: file.path, tensor: name,
            expected: known.map { "\($0.sums) sums in \($0.parts) parts" },
            found: "\(stored.sums) in \(parts)")
        }
        entries[name] = ImportanceOutput.Entry(
          name: name, sums: stored.sums, parts: max(known?.parts ?? 1, parts))
      }
    }
    return entries.values.sorted { $0.name < $1.name }
  }

  /// Tokens that the files have seen: those of the tensor that has seen most, of all files.
  func tokens(chunkSize: Int) -> Int {
    files.reduce(0) { total, file in
      let most = file.names.compactMap { file.stored(of: $0)?.tokens.max() }.max() ?? 0
      return total + Int(most) * (file.chunkSize == nil ? chunkSize : 1)
    }
  }
}
