internal import Formats
internal import Platform
internal import Tensors
internal import Weights

/// Stretches of files in which every byte is zero, and that no network has there: one finding each.
struct ZeroExtents {
  private(set) var findings = FindingCollector()
  /// Names of tensors that lie in them: what else is wrong with those follows.
  private(set) var names: Set<ExactText> = []
  /// First bytes of tails, by the number of the file.
  private var tails: [Int: Int] = [:]

  /// The end of a file.
  mutating func addTail(
    of file: InputFile, called name: String, number: Int, holding tensors: [StoredTensor]
  ) throws(Fault) {
    guard let tail = try ZeroTail(of: file, holding: tensors) else { return }
    tails[number] = tail.start
    for tensor in tensors where tensor.offset + tensor.byteCount > tail.start {
      names.insert(tensor.name)
    }
    let fault = tail.fault(of: name)
    var finding = Finding(
      .zeroExtent, tensor: tail.tensors.first?.name, file: name, expected: fault.expected,
      found: "bytes \(tail.start) to the end are zero: \(tail.byteCount) bytes\(tail.extent)",
      hint: "an interrupted download or copy leaves this: \(fault.advice ?? "")")
    finding.count = max(1, tail.tensors.count)
    finding.examples = tail.tensors.prefix(FindingCollector.exampleLimit).map(\.name)
    findings.add(finding, pattern: nil)
  }

  /// Tensors of one file that are wholly zero, in the order of their bytes, each run of them between
  /// others being one extent.
  ///
  /// - Parameters:
  ///   - tensors: those that were read.
  ///   - isZero: whether all bytes of one are zero.
  mutating func addHoles(
    in file: String, number: Int, _ tensors: [StoredTensor], _ isZero: (StoredTensor) -> Bool
  ) {
    var run: [StoredTensor] = []
    for tensor in tensors.sorted(by: { $0.offset < $1.offset }) where tensor.byteCount > 0 {
      // What lies in the tail was said.
      if let start = tails[number], tensor.offset >= start { break }
      if isZero(tensor) {
        run.append(tensor)
      } else {
        addHole(run, in: file)
        run = []
      }
    }
    addHole(run, in: file)
  }

  private mutating func addHole(_ run: [StoredTensor], in file: String) {
    guard run.contains(where: \.cannotBeZero), let first = run.first, let last = run.last else {
      return
    }
    for tensor in run { names.insert(tensor.name) }
    let patterns = Set(run.map { FindingCollector.pattern(of: $0.name, wholeExperts: true) })
    let finding = Finding(
      .zeroExtent, tensor: run.first(where: \.cannotBeZero)?.name, file: file,
      expected: "weights",
      found: "bytes \(first.offset) to \(last.offset + last.byteCount - 1) are zero",
      hint: run.count == 1
        ? "a weight that was never written, or that a hole in the file has taken, looks like this"
        : "\(run.count) tensors lie in a hole of the file: take \(file) anew from where it came from"
    )
    // Alike weights that lie apart are one finding with a count.
    findings.add(finding, pattern: patterns.count == 1 ? patterns.first : nil)
  }

  /// The ends of all files.
  mutating func addTails(of inventory: Inventory) throws(Fault) {
    let groups = Dictionary(grouping: inventory.tensors, by: \.shard)
    inventory.fetchEndsAhead()
    for (number, shard) in inventory.shards.enumerated() {
      try addTail(
        of: shard.file, called: shard.name.text, number: number, holding: groups[number] ?? [])
    }
  }

  /// A weight whose numbers are all zero.
  mutating func add(_ weight: SourceWeight, in file: String) {
    let tensor = weight.assembly.first.tensor
    guard !names.contains(tensor.name), weight.cannotBeZero else { return }
    add(weight.name, in: file)
  }

  /// A matrix, or one of those that a tensor stacks, or a norm's vector whose numbers are all zero.
  mutating func add(_ name: ExactText, in file: String, matrix: Int? = nil) {
    findings.add(
      Finding(
        .zeroExtent, tensor: name, file: file, expected: "weights",
        found: "zeros alone" + (matrix.map { " in matrix \($0)" } ?? ""),
        hint:
          "a weight that was never written, or that a hole in the file has taken, looks like this"
      ), pattern: FindingCollector.pattern(of: name, wholeExperts: true))
  }
}
