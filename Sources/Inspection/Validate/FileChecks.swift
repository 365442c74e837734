internal import Conversion
internal import Dialects
internal import Formats
internal import Locks
internal import Platform
internal import Tensors

/// The rules about files: shards that are absent, cut short or malformed, and the index.
struct FileChecks {
  let survey: CheckpointSurvey
  var collector = FindingCollector()
  /// Every tensor whose header could be read; the first of two with the same name.
  var tensors = TensorTable()
  /// Names of the shards that `StoredTensor.shard` counts.
  var shardNames: [ExactText] = []
  /// Shards that are whole, nil where the data is cut short.
  var openShards: [Shard?] = []
  /// Tensors that the index places in a file that could not be read: their absence has a finding.
  var excused: Set<ExactText> = []
  /// The first file that could not be parsed.
  private(set) var malformation: Fault?
  /// Files of which nothing is known.
  private(set) var unreadable: Set<ExactText> = []
  /// Tensors that the index lists and no file holds, each with the file where it should be.
  private(set) var ghosts: [(tensor: ExactText, file: ExactText)] = []

  init(survey: CheckpointSurvey) {
    self.survey = survey
  }

  mutating func run() throws(Fault) {
    if survey.shards.isEmpty {
      collector.add(
        Finding(
          .missingShard, file: survey.folder, expected: "at least one safetensors file",
          found: "none"), pattern: nil)
    }
    try checkCompanions()
    tensors = TensorTable(capacity: survey.tensorCount)
    for (name, state) in survey.shards { try check(name, state) }
    checkStrays()
    if let fault = survey.foreignIndexFault {
      collector.add(
        Finding(
          .indexMismatch, file: SafetensorsIndex.fileName.text, expected: fault.expected,
          found: fault.found, hint: fault.advice), pattern: nil)
    } else if let index = survey.index {
      check(foreignFilesOf: index)
      for entry in index.entries where unreadable.contains(index.files[entry.file]) {
        excused.insert(index.name(of: entry))
      }
      check(placesIn: index)
      check(sizeIn: index)
    }
  }

  /// What lies beside the weights, where a download has left something else in its place.
  private mutating func checkCompanions() throws(Fault) {
    let (files, _) = try SideFile.list(in: survey.files) { name in
      ModelFileName.part(RawName(name)) != .companion
    }
    for file in files {
      guard let nature = try file.placeholder() else { continue }
      collector.add(
        Finding(
          .wrongFile, file: file.name.text, expected: "the file itself", found: nature.name,
          hint: nature.advice), pattern: nil)
    }
  }

  /// Restores everything that is packed. Files with damage are not looked at any further.
  ///
  /// - Throws: `.inputOutput` where reading fails.
  mutating func checkPacking(threads: Int) throws(Fault) {
    if DividedScan.isPart { return }
    let groups = Dictionary(grouping: tensors.tensors, by: \.shard)
    for (number, shard) in openShards.enumerated() {
      guard let shard, shard.file.showsAnother else { continue }
      let own = (groups[number] ?? []).sorted { $0.offset < $1.offset }
      let faults = Guarded<[(item: Int, fault: Fault)]>([])
      try Workers.run(threads: threads, count: own.count) { _, item throws(Fault) in
        do throws(Fault) { try FileChecks.read(own[item], in: shard.file) } catch {
          guard error.kind == .malformed else { throw error }
          let fault = error
          faults.withLock { $0.append((item, fault)) }
        }
      }
      for (item, fault) in faults.withLock({ $0 }).sorted(by: { $0.item < $1.item }) {
        openShards[number] = nil
        malformation = malformation ?? fault
        collector.add(
          Finding(
            .malformedShard, tensor: own[item].name, file: shard.name.text,
            expected: fault.expected ?? "what was packed",
            found: "\(fault.found ?? fault.message) at byte \(fault.offset ?? 0)",
            hint: "the packed file is damaged: take it anew from where it was packed"),
          pattern: FindingCollector.pattern(of: own[item].name, wholeExperts: true))
      }
    }
  }

  private static func read(_ tensor: StoredTensor, in file: InputFile) throws(Fault) {
    let buffer = ByteBuffer(count: min(tensor.byteCount, 4 << 20))
    for start in stride(from: 0, to: tensor.byteCount, by: buffer.count) {
      let count = min(buffer.count, tensor.byteCount - start)
      try file.read(
        at: tensor.offset + start,
        into: UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count]))
    }
  }

  private mutating func check(_ name: ExactText, _ state: CheckpointSurvey.ShardState) throws(Fault)
  {
    let tensor = survey.index?.firstTensor(in: name)
    switch state {
    case .faulty(let fault):
      unreadable.insert(name)
      if fault.kind == .inputOutput { throw fault }
      if fault.kind == .malformed, malformation == nil { malformation = fault }
      let finding =
        fault.kind == .notFound
        ? Finding(
          .missingShard, tensor: tensor, file: name.text, expected: "a safetensors file",
          found: fault.found ?? fault.message, hint: fault.advice ?? "download \(name)")
        : Finding(
          .malformedShard, tensor: fault.tensor, file: name.text,
          expected: fault.expected ?? "a safetensors file",
          found: [fault.message, fault.found].compactMap { $0 }.joined(separator: ": ")
            + (fault.offset.map { " at byte \($0)" } ?? ""),
          hint: fault.advice ?? "download \(name) again")
      collector.add(finding, pattern: fault.kind == .notFound ? "shard" : nil)
    case .cut(let file, let minimum):
      unreadable.insert(name)
      collector.add(
        Finding(
          .truncatedShard, tensor: tensor, file: name.text, expected: "at least \(minimum) bytes",
          found: "\(file.size) bytes",
          hint: "\(name) ends before its tensors do: download it again"), pattern: nil)
    case .read(let shard, let header): check(shard, header)
    }
  }

  private mutating func check(_ shard: Shard, _ header: SafetensorsHeader) {
    if let fault = header.metadataFault {
      collector.add(
        Finding(
          .metadataMismatch, file: shard.name.text, expected: fault.expected,
          found: "\(fault.found ?? "") at byte \((fault.offset ?? 0) + 8)",
          hint: "safetensors' own readers refuse such a file: fathom convert writes it anew"),
        pattern: nil)
    }
    let size = shard.file.size
    let index = shardNames.count
    shardNames.append(shard.name)
    openShards.append(size == header.expectedSize ? shard : nil)
    if size < header.expectedSize {
      let affected = header.tensors.filter { $0.offset + $0.byteCount > size }
      var finding = Finding(
        .truncatedShard, tensor: affected.first?.name, file: shard.name.text,
        expected: "\(header.expectedSize) bytes", found: "\(size) bytes",
        hint: "\(shard.name) is \(header.expectedSize - size) bytes short: download it again")
      finding.count = affected.count
      finding.examples = affected.prefix(FindingCollector.exampleLimit).map(\.name)
      collector.add(finding, pattern: nil)
    } else if size > header.expectedSize {
      do throws(Fault) { try header.requireSize(of: shard.file) } catch {
        malformation = malformation ?? error
      }
      collector.add(
        Finding(
          .malformedShard, file: shard.name.text, expected: "\(header.expectedSize) bytes",
          found: "\(size - header.expectedSize) bytes after the last tensor",
          hint: "\(shard.name) is not the file that its header describes: download it again"),
        pattern: nil)
    }
    // Names that several files use are told apart by the file.
    let prefix = survey.prefix(of: shard.name)
    for tensor in header.tensors(inShard: index, prefix: prefix) {
      if let first = tensors.add(tensor) {
        collector.add(
          Finding(
            .duplicateTensor, tensor: tensor.name, file: shard.name.text, expected: "one place",
            found: "also in \(shardNames[first.shard])",
            hint: "which of the two a loader takes depends on the order in which it reads the files"
          ), pattern: "")
      }
    }
  }

  private mutating func check(foreignFilesOf index: SafetensorsIndex) {
    for foreign in survey.foreignFiles {
      unreadable.insert(foreign)
      collector.add(
        Finding(
          .indexMismatch, tensor: index.firstTensor(in: foreign),
          file: SafetensorsIndex.fileName.text,
          expected: "a file in the checkpoint's folder", found: foreign.text,
          hint: "an index that points elsewhere is damaged or hostile: do not load it"),
        pattern: nil)
    }
  }

  /// Where the index says that tensors are, against where they are.
  private mutating func check(placesIn index: SafetensorsIndex) {
    let shards = index.places(among: shardNames)
    var isNamed = [Bool](repeating: false, count: tensors.tensors.count)
    var absent: Set<ExactText> = []
    for entry in index.entries {
      let found = tensors.place(of: entry, in: index)
      let isFirst: Bool
      if let found {
        isFirst = !isNamed[found]
        isNamed[found] = true
      } else {
        isFirst = absent.insert(index.name(of: entry)).inserted
      }
      let shard = found.map { tensors.tensors[$0].shard }
      if isFirst, let shard, shard == shards[entry.file] { continue }
      let (name, file) = (index.name(of: entry), index.files[entry.file])
      if !isFirst {
        collector.add(
          Finding(
            .indexMismatch, tensor: name, file: SafetensorsIndex.fileName.text,
            expected: "one entry",
            found: index.repeated.map { "two, the second at byte \($0.offset)" }),
          pattern: "twice")
        continue
      }
      guard !excused.contains(name) else { continue }
      guard let place = shard.map({ shardNames[$0] }) else {
        ghosts.append((name, file))
        continue
      }
      collector.add(
        Finding(
          .indexMismatch, tensor: name, file: SafetensorsIndex.fileName.text,
          expected: "in \(file)", found: "in \(place)",
          hint: "rebuild the index from the headers"), pattern: "elsewhere")
    }
    // They stand there file by file, in the order of their bytes.
    for (tensor, isNamed) in zip(tensors.tensors, isNamed) where !isNamed {
      collector.add(
        Finding(
          .indexMismatch, tensor: tensor.name, file: shardNames[tensor.shard].text,
          expected: "an entry in \(SafetensorsIndex.fileName)", found: "none",
          hint: "loaders that follow the index will not see it"), pattern: "unlisted")
    }
  }

  /// Files beside the checkpoint. Loaders differ in what they make of one that is called as the whole
  /// of a model is.
  private mutating func checkStrays() {
    guard let note = survey.straysNote else { return }
    let whole: ExactText = "model.safetensors"
    let isTaken = survey.index != nil && survey.strays.contains(whole)
    var finding = Finding(
      .strayFile, .warning, file: isTaken ? whole.text : survey.strays[0].text,
      expected: "the checkpoint's files alone", found: note,
      hint: isTaken
        ? "transformers takes \(whole) where it lies beside an index: remove it unless it is the "
          + "same model"
        : "an earlier save, a second copy or another model: remove what is not wanted")
    finding.count = survey.strays.count
    collector.add(finding, pattern: nil)
  }

  /// What the index lists and no file holds, without what the network needs, whose absence has its
  /// own findings.
  func ghostFindings(except isNeeded: (ExactText) -> Bool) -> [Finding] {
    var collector = FindingCollector()
    for (tensor, file) in ghosts where !isNeeded(tensor) {
      collector.add(
        Finding(
          .indexMismatch, .warning, tensor: tensor, file: SafetensorsIndex.fileName.text,
          expected: "in \(file)", found: "nowhere",
          hint: "the network has no such tensor: remove the entry, which loaders may look for"),
        pattern: "nowhere")
    }
    return collector.findings
  }

  /// `total_size`, which loaders do not need: published checkpoints are known to have it wrong.
  private mutating func check(sizeIn index: SafetensorsIndex) {
    let total = tensors.tensors.reduce(0) { $0 + $1.byteCount }
    guard let stated = index.totalSize, stated != total, unreadable.isEmpty else { return }
    collector.add(
      Finding(
        .metadataMismatch, .warning, file: SafetensorsIndex.fileName.text,
        expected: "total_size \(total)", found: "\(stated)",
        hint: "loaders ignore it; tools that plan memory or downloads by it are misled"),
      pattern: nil)
  }
}
