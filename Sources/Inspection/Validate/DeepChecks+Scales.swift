internal import Dialects
internal import Formats
internal import Models
internal import Platform
internal import Tensors
internal import Weights

/// What scales and orders of columns say that only their values show.
extension DeepChecks {
  /// Scales that are zero or negative. A block of zeros may have a scale of zero: some writers
  /// store it so, and nothing is lost.
  func report(
    badScales scan: WeightScan, _ scales: ExpectedTensor, _ stored: StoredTensor, file: String,
    weights: [WeightScan?], _ zeros: Set<ExactText>, to collector: inout FindingCollector
  ) throws(Fault) {
    let pattern = FindingCollector.pattern(of: scales.name, wholeExperts: true)
    var isHarmless = false
    let name = FP8Scales.weightName(ofScale: stored.name)
    if scan.negativeScales == 0, let name,
      let item = tensors.firstIndex(where: { $0.stored.name == name })
    {
      // What 0 / 0 leaves, and what lies in a hole, was said of the codes.
      if zeros.contains(name) || weights[item]?.nonFinite ?? 0 > 0 { return }
      isHarmless = try hasZeroBlocks(tensors[item].stored, where: stored)
    }
    collector.add(
      Finding(
        .badScale, isHarmless ? .warning : .error, tensor: scales.name, file: file,
        expected: "positive scales",
        found: "\(scan.zeroScales + scan.negativeScales) that are zero or negative",
        hint: isHarmless
          ? "all codes of these blocks are zero as well: nothing is lost"
          : "their blocks vanish or change sign"), pattern: pattern)
  }

  /// Whether all codes are zero in the blocks whose scales are.
  private func hasZeroBlocks(
    _ weight: StoredTensor, where scales: StoredTensor
  ) throws(Fault) -> Bool {
    guard let shard = shards[weight.shard], let other = shards[scales.shard],
      weight.type == .f8E4M3, weight.shape.dimensions.count == 2
    else { return false }
    let (rows, columns) = (weight.shape.dimensions[0], weight.shape.dimensions[1])
    let lines = max(1, scales.shape.dimensions.first ?? 1)
    let across = max(1, scales.shape.elementCount / lines)
    let block =
      config.fp8?.blocks ?? config.compressed?.fp8Blocks.map {
        .init(rows: $0.rows, columns: $0.columns)
      }
      ?? .init(rows: (rows + lines - 1) / lines, columns: (columns + across - 1) / across)
    let grid = ByteBuffer(count: scales.byteCount)
    try other.file.read(at: scales.offset, into: grid.bytes)
    let width = scales.byteCount / max(1, scales.shape.elementCount)
    let codes = ByteBuffer(count: columns)
    for row in 0..<rows {
      let first = row / block.rows * across
      let zero = (0..<across).filter { column in
        let start = (first + column) * width
        return start + width <= grid.count
          && grid.bytes[start..<start + width].allSatisfy { $0 & 0x7F == 0 }
      }
      if zero.isEmpty { continue }
      try shard.file.read(at: weight.offset + row * columns, into: codes.bytes)
      for column in zero {
        let part = column * block.columns..<min(columns, (column + 1) * block.columns)
        guard codes.bytes[part].allSatisfy({ $0 & 0x7F == 0 }) else { return false }
      }
    }
    return true
  }

  /// Groups of columns that codes name: each has as many, and one that the config does not tell of
  /// changes what other loaders compute.
  func checkColumnGroups(
    _ collector: inout FindingCollector, except names: Set<ExactText>
  ) throws(Fault) {
    for (stored, size, isDeclared) in columnGroups where !names.contains(stored.name) {
      guard let shard = shards[stored.shard], [.i32, .i64].contains(stored.type) else { continue }
      let buffer = ByteBuffer(count: stored.byteCount)
      try shard.file.read(at: stored.offset, into: buffer.bytes)
      let groups = ColumnGroups(buffer, type: stored.type)
      guard !groups.isInOrder(size: size) else { continue }
      let pattern = FindingCollector.pattern(of: stored.name, wholeExperts: true)
      if let (group, count) = groups.firstUneven(size: size) {
        collector.add(
          Finding(
            .badScale, tensor: stored.name, file: shard.name.text,
            expected: "\(size) columns in each group", found: "\(count) in group \(group)",
            hint: "columns whose group is wrong have the scales of others"), pattern: pattern)
      } else if !isDeclared {
        let key = config.otherMaker == nil ? "actorder group" : "desc_act true"
        collector.add(
          Finding(
            .metadataMismatch, tensor: stored.name, file: "config.json",
            expected: "\(key), since these columns are not in the order of their groups",
            found: "none",
            hint: "loaders that go by the config compute with the scales of other columns: set it"),
          pattern: pattern)
      }
    }
  }
}
