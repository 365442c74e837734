internal import Conversion
internal import Formats
internal import Models
internal import Platform
internal import Reports
internal import Tensors
internal import Weights

/// The rules that need the weights themselves: `validate --deep`.
struct DeepChecks {
  let config: ModelConfig
  let tensors: [(expected: ExpectedTensor, stored: StoredTensor)]
  /// Tensors that state a weight's shape, with that shape.
  let statedShapes: [(stored: StoredTensor, shape: Shape)]
  /// Tensors that name the groups of columns, with the columns of a group, and whether the config
  /// tells of them.
  let columnGroups: [(stored: StoredTensor, size: Int, isDeclared: Bool)]
  /// Files by `StoredTensor.shard`, nil where the data is cut short (which has its own finding).
  let shards: [Shard?]
  let threads: Int
  /// Bytes that a worker holds at a time.
  private static let window = 4 << 20

  func run() throws(Fault) -> [Finding] {
    let sizes = tensors.map(\.stored.byteCount)
    let own = DividedScan.own(sizes)
    ReadingMeter.expect(own.reduce(0) { $0 + sizes[$1] })
    for (_, stored) in tensors[own] { shards[stored.shard]?.fetchAhead(stored) }
    let found = try DividedScan.values(sizes, threads: threads) { item throws(Fault) in
      let (expected, stored) = tensors[item]
      return try shards[stored.shard].map { shard throws(Fault) in
        try scan(expected, stored, in: shard.file).numbers
      }
    }
    if DividedScan.isPart { return [] }
    let scans = found.map { $0.flatMap(WeightScan.init(numbers:)) }
    let extents = try zeroExtents(scans)
    var collector = FindingCollector()
    for (item, scan) in scans.enumerated() {
      let (expected, stored) = tensors[item]
      guard let scan, let file = shards[stored.shard]?.name,
        !extents.names.contains(stored.name)
      else { continue }
      report(scan, of: expected, file: file.text, to: &collector)
      guard expected.storage == .scale, scan.zeroScales + scan.negativeScales > 0 else { continue }
      try report(
        badScales: scan, expected, stored, file: file.text, weights: scans, extents.names,
        to: &collector)
    }
    try compareCopies(&collector, except: extents.names)
    try compareShapes(&collector, except: extents.names)
    try checkColumnGroups(&collector, except: extents.names)
    return extents.findings.findings + collector.findings
  }

  private func zeroExtents(_ scans: [WeightScan?]) throws(Fault) -> ZeroExtents {
    var extents = ZeroExtents()
    var (byShard, zeros): ([Int: [StoredTensor]], Set<ExactText>) = ([:], [])
    for (item, scan) in scans.enumerated() {
      let stored = tensors[item].stored
      byShard[stored.shard, default: []].append(stored)
      if scan?.isZero == true { zeros.insert(stored.name) }
    }
    for (number, own) in byShard.sorted(by: { $0.key < $1.key }) {
      guard let shard = shards[number] else { continue }
      try extents.addTail(
        of: shard.file, called: shard.name.text, number: number, holding: own)
      extents.addHoles(in: shard.name.text, number: number, own) { zeros.contains($0.name) }
    }
    return extents
  }

  private func scan(
    _ expected: ExpectedTensor, _ stored: StoredTensor, in file: InputFile
  ) throws(Fault) -> WeightScan {
    let rows = stored.shape.dimensions.first ?? 1
    let rowBytes = rows > 0 ? stored.byteCount / rows : 0
    var scan = WeightScan(
      type: stored.type, isScale: expected.storage == .scale,
      powerOfTwo: config.fp8?.powerOfTwoScales ?? false)
    guard rowBytes > 0 else { return scan }
    let rowsAtOnce = max(1, min(rows, Self.window / rowBytes))
    let buffer = ByteBuffer(count: rowsAtOnce * rowBytes)
    var row = 0
    while row < rows {
      let count = min(rowsAtOnce, rows - row)
      let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<(count * rowBytes)])
      do throws(Fault) {
        try file.read(at: stored.offset + row * rowBytes, into: bytes)
      } catch {
        var fault = error
        fault.tensor = stored.name
        throw fault
      }
      scan.add(UnsafeRawBufferPointer(bytes), rowBytes: rowBytes)
      ReadingMeter.add(bytes.count)
      row += count
    }
    return scan
  }

  private func report(
    _ scan: WeightScan, of tensor: ExpectedTensor, file: String,
    to collector: inout FindingCollector
  ) {
    let pattern = FindingCollector.pattern(of: tensor.name, wholeExperts: true)
    if scan.nonFinite > 0 {
      collector.add(
        Finding(
          .nonFinite, tensor: tensor.name, file: file, expected: "finite numbers",
          found: "\(scan.nonFinite) NaN or Inf, the first at element \(scan.firstNonFinite ?? 0)",
          hint: "one such weight turns every logit into NaN"), pattern: pattern)
    }
    if scan.unevenScales > 0 {
      collector.add(
        Finding(
          .badScale, .warning, tensor: tensor.name, file: file,
          expected: "powers of two, since scale_fmt is ue8m0",
          found: "\(scan.unevenScales) that are not",
          hint: "code that stores scales as E8M0 will round them"), pattern: "uneven scales")
    }
    if tensor.shape.dimensions.count == 2, tensor.storage != .scale, scan.zeroRows > 0,
      ![.embedding, .embeddingCopy, .head, .headCopy].contains(tensor.part)
    {
      collector.add(
        Finding(
          .zeroRows, .warning, tensor: tensor.name, file: file, expected: "no row of zeros",
          found: "\(scan.zeroRows) of \(tensor.shape.dimensions[0]) rows",
          hint: "a block that was never written looks like this"), pattern: pattern)
    }
    if tensor.storage == .fp8, scan.saturated * 20 > tensor.shape.elementCount {
      collector.add(
        Finding(
          .badScale, .warning, tensor: tensor.name, file: file,
          expected: "few weights at the end of FP8's range",
          found: "\(scan.saturated) of \(tensor.shape.elementCount) at ±448",
          hint: "the scales were too small when it was quantized: weights were clipped"),
        pattern: pattern)
    }
  }

  /// What the headers of packed codes hide is stated beside them.
  private func compareShapes(
    _ collector: inout FindingCollector, except names: Set<ExactText>
  ) throws(Fault) {
    for (stored, shape) in statedShapes where !names.contains(stored.name) {
      guard let file = shards[stored.shard] else { continue }
      let buffer = ByteBuffer(count: stored.byteCount)
      try file.file.read(at: stored.offset, into: buffer.bytes)
      let stated: [Int] = withExtendedLifetime(buffer) {
        stored.type == .i32
          ? buffer.bytes.bindMemory(to: Int32.self).map { Int(Int32(littleEndian: $0)) }
          : buffer.bytes.bindMemory(to: Int64.self).map { Int(Int64(littleEndian: $0)) }
      }
      guard stated != shape.dimensions else { continue }
      collector.add(
        Finding(
          .wrongShape, tensor: stored.name, file: file.name.text, expected: "\(shape.dimensions)",
          found: "\(stated)", hint: "loaders unpack codes by what it says"),
        pattern: FindingCollector.pattern(of: stored.name, wholeExperts: false))
    }
  }

  /// An MTP layer's own embedding and head are copies of the main ones (DeepSeek's README_WEIGHTS).
  private func compareCopies(
    _ collector: inout FindingCollector, except names: Set<ExactText>
  ) throws(Fault) {
    for (copy, stored) in tensors {
      guard let part = config.original(of: copy.part),
        let original = tensors.first(where: { $0.expected.part == part }),
        let file = shards[stored.shard], let other = shards[original.stored.shard],
        stored.byteCount == original.stored.byteCount, !names.contains(stored.name),
        !names.contains(original.stored.name)
      else { continue }
      guard
        let offset = try SourceWeights.firstDifference(
          (file.file, stored.offset), (other.file, original.stored.offset), stored.byteCount)
      else { continue }
      collector.add(
        Finding(
          .sharedCopyDiffers, tensor: copy.name, file: file.name.text,
          expected: "the bytes of \(original.expected.name)",
          found: "other ones from byte \(offset) of the tensor on",
          hint: "loaders that share one table with MTP compute other drafts than those that do not"),
        pattern: nil)
    }
  }
}
