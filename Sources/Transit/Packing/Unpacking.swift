internal import Dialects
package import Formats
package import Platform
internal import Tensors

/// What `unpack` gave back (schema `fathom.unpack/1`).
package struct UnpackReport: Sendable, Hashable {
  /// Number of files, packed ones and copies.
  package let files: Int
  /// Bytes of them.
  package let byteCount: Int
  /// Bytes that they took.
  package let packedByteCount: Int
  /// Where they are; nil where they were only checked.
  package let output: String?
  /// Which files were compared with the list of what was packed, and which could not be.
  package let coverage: Coverage

  /// The document.
  package var json: JSONValue {
    var object: JSONObject = [
      "schema": .string("fathom.unpack/1"), "version": .string(FathomVersion.text),
      "files": .integer(files), "bytes": .integer(byteCount),
      "packedBytes": .integer(packedByteCount), "verdict": .string(coverage.verdict.rawValue),
      "compared": .integer(coverage.compared),
      "unexpected": .array(coverage[.unexpected].names.map { .string($0.text) }),
      "unexpectedCount": .integer(coverage[.unexpected].count),
      "notCompared": .array(coverage.uncompared.names.map { .string($0.text) }),
      "notComparedCount": .integer(coverage.uncompared.count),
    ]
    if let output { object["output"] = .string(output) }
    return .object(object)
  }
}

/// A model that `pack` wrote: a folder of files, or one file.
package struct PackedModel: Sendable {
  private let packed: [(name: ExactText, file: PackedFile)]
  /// Files beside them that were copied.
  private let others: [SideFile]
  /// What lies there and was not packed, and hidden entries.
  private let strangers: (unexpected: [ExactText], hidden: [ExactText])
  private let isFolder: Bool
  /// What the folder's own list says of its files; nil without one.
  private let list: [ExactText: (size: Int, hash: BLAKE3Value)]?
  private let path: String
  /// What stays behind and what cannot be checked, a line each.
  package let warnings: [String]

  /// Looks at a folder or file.
  ///
  /// - Throws: `.notFound`; `.malformed` where nothing is packed, or a packed file is damaged or
  ///   missing.
  package init(path: String) throws(Fault) {
    self.path = path
    guard let kind = try Folder.kind(of: path) else {
      throw Fault(.notFound, "no such file or folder", file: path)
    }
    isFolder = kind == .folder
    var packed: [(name: ExactText, file: PackedFile)] = []
    var others: [SideFile] = []
    let budget = ModelBudget()
    func add(_ name: ExactText, _ input: InputFile, otherwise side: SideFile?) throws(Fault) {
      switch try PackedFile.opening(input, within: budget) {
      case .packed(let file): packed.append((name, file))
      case .plain: if let side { others.append(side) }
      case .cut: _ = try PackedFile.weights(input)
      }
    }
    if isFolder {
      let folder = try InputFolder(path: path)
      let (files, skipped) = try SideFile.list(
        in: folder, leavingOut: { $0 == PackedFile.listName },
        requiring: { $0.hasSuffix(".safetensors") || $0.hasSuffix(".gguf") })
      let list = try PackReport.read(in: folder)
      for file in files where list?[file.name] != nil || list == nil {
        try add(file.name, file.open(), otherwise: file)
      }
      let listed = list.map { Set($0.keys) } ?? Set(files.map(\.name))
      strangers = try Coverage.strangers(
        in: path, expected: listed.union([PackedFile.listName]))
      self.list = list
      warnings =
        (list == nil
          ? skipped + [
            "there is no \(PackedFile.listName): whether all files are there, and those beside the "
              + "weights are as they were, is not checked"
          ] : [])
        + strangers.unexpected.map { "\($0) was not packed and is not given back" }
    } else {
      try add(Folder.name(of: path), InputFile(path: path), otherwise: nil)
      (warnings, list, strangers) = ([], nil, ([], []))
    }
    guard !packed.isEmpty else {
      throw Fault(
        .malformed, "holds nothing that is packed", file: path, expected: "what fathom pack wrote")
    }
    (self.packed, self.others) = (packed, others)
    try requireListed()
  }

  /// Throws where the folder does not have the files that its list names.
  private func requireListed() throws(Fault) {
    guard let list else { return }
    let sizes =
      packed.map { ($0.name, $0.file.original.size) } + others.map { ($0.name, $0.byteCount) }
    for (name, size) in sizes {
      guard let expected = list[name]?.size, expected != size else { continue }
      throw Fault(
        .malformed, "is not the file that was packed", file: Folder.join(path, name),
        expected: "\(expected) bytes", found: "\(size)")
    }
    let present = Set(sizes.map(\.0))
    guard let missing = list.keys.filter({ !present.contains($0) }).min() else { return }
    throw Fault(
      .malformed, "lacks a file that was packed", file: path, expected: missing.text)
  }

  /// Bytes of all files once they are unpacked.
  package var byteCount: Int {
    packed.reduce(0) { $0 + $1.file.original.size } + others.reduce(0) { $0 + $1.byteCount }
  }

  /// Bytes of all files as they are.
  package var packedByteCount: Int {
    packed.reduce(0) { $0 + $1.file.original.storedSize } + others.reduce(0) { $0 + $1.byteCount }
  }

  /// How many times larger the files are going to be.
  package var growth: Int { byteCount / max(1, packedByteCount) }
  /// What weights never become; a model of little else than zeros does.
  package static let remarkableGrowth = 8
  /// What is not unpacked without being asked for, beyond the size that does no harm.
  private static let absurdGrowth = 10_000
  private static let harmlessByteCount = 1 << 30

  /// Throws `.malformed` where a few bytes would become very many.
  package func requireUsualGrowth() throws(Fault) {
    guard growth <= Self.absurdGrowth || byteCount <= Self.harmlessByteCount else {
      throw Fault(
        .malformed, "becomes absurdly large once it is unpacked", file: path,
        expected: "at most \(Self.absurdGrowth) times its size, or --allow-growth",
        found: "\(byteCount) bytes out of \(packedByteCount)")
    }
  }

  private func report(output: String?) -> UnpackReport {
    UnpackReport(
      files: packed.count + others.count, byteCount: byteCount, packedByteCount: packedByteCount,
      output: output, coverage: coverage)
  }

  /// What was compared when all files have been read: packed ones with their own sums, all of them
  /// with the list.
  private var coverage: Coverage {
    var coverage = Coverage()
    for (name, _) in packed { coverage.compare(name, isSame: true) }
    for side in others {
      if list == nil {
        coverage.pass(over: side.name)
      } else {
        coverage.compare(side.name, isSame: true)
      }
    }
    for name in strangers.unexpected { coverage.add(.unexpected, name) }
    for name in strangers.hidden { coverage.pass(over: name) }
    if isFolder, list == nil { coverage.pass(over: PackedFile.listName) }
    return coverage
  }

  /// Gives back the files that were packed, whose hashes are checked before they get their names.
  ///
  /// - Parameter progress: called with the bytes that are done, and all of them.
  /// - Throws: `.malformed` with the file whose bytes are not those that were packed; else as
  ///   `PackableModel.pack`.
  package func unpack(
    to destination: OutputPath, threads: Int, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> UnpackReport {
    try destination.requireSpace(byteCount, files: packed.count + others.count)
    let form: WorkFolder.Form =
      isFolder ? .folder : .files([Folder.name(of: destination.path)])
    return try WorkFolder.writing(to: destination, form: form) { work throws(Fault) in
      try restore(threads: threads, progress) { name throws(Fault) in
        try work.create(isFolder ? name : Folder.name(of: destination.path))
      }
      return report(output: destination.path)
    }
  }

  /// Reads everything and checks the hashes; writes nothing. What lies there and was not packed
  /// stands in the report's `coverage`.
  ///
  /// - Throws: as `unpack`.
  package func check(
    threads: Int, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> UnpackReport {
    try restore(threads: threads, progress) { _ in nil }
    return report(output: nil)
  }

  /// Goes through all files and checks their hashes.
  ///
  /// - Parameter place: makes the file that takes what a name had; nil for none.
  private func restore(
    threads: Int, _ progress: (_ done: Int, _ total: Int) -> Void,
    into place: (_ name: ExactText) throws(Fault) -> OutputFile?
  ) throws(Fault) {
    var done = 0
    let total = byteCount
    for (name, file) in packed {
      let output = try place(name)
      let hash = try file.original.restored(threads: threads) { bytes throws(Fault) in
        try output?.append(bytes)
        done += bytes.count
        progress(done, total)
      }
      try require(hash, file.index.hash, of: name)
      try file.original.requireUnchanged()
      try output?.finish()
    }
    for side in others {
      let (output, input) = (try place(side.name), try side.open())
      let hash = try input.hash { bytes throws(Fault) in
        try Interruption.check()
        try output?.append(bytes)
        done += bytes.count
        progress(done, total)
      }
      try require(hash, hash, of: side.name)
      try input.requireUnchanged()
      try output?.finish()
    }
  }

  /// Throws where a file is not the one that was packed.
  private func require(
    _ found: BLAKE3Value, _ expected: BLAKE3Value, of name: ExactText
  ) throws(Fault) {
    let listed = list?[name]?.hash ?? expected
    guard found == expected, found == listed else {
      throw Fault(
        .malformed, "is not the file that was packed",
        file: isFolder ? Folder.join(path, name) : path, expected: "BLAKE3 \(listed.text)",
        found: found.text)
    }
  }
}

extension InputFile {
  /// Bytes of a file in their order, made on several threads; returns BLAKE3 of them.
  fileprivate func restored(
    threads: Int, _ body: (UnsafeRawBufferPointer) throws(Fault) -> Void
  ) throws(Fault) -> BLAKE3Value {
    // Chunks that reach into the next tile are restored twice.
    let step = BLAKE3.pieceBytes
    let tile = 4 * step
    var values: [UInt8] = []
    try OrderedPipeline.run(
      threads: threads, count: max(1, (size + tile - 1) / tile), slots: 2 * threads + 2,
      slotBytes: tile + tile / step * BLAKE3Value.byteCount,
      produce: { _, item, slot throws(Fault) in
        try Interruption.check()
        let start = item * tile
        let count = min(tile, size - start)
        let bytes = UnsafeMutableRawBufferPointer(rebasing: slot[..<count])
        try read(at: start, into: bytes)
        var end = count
        for first in stride(from: 0, to: max(1, count), by: step) {
          BLAKE3.hash(
            part: UnsafeRawBufferPointer(rebasing: bytes[first..<min(count, first + step)]),
            from: start + first, isWhole: size <= step,
            into: UnsafeMutableRawBufferPointer(rebasing: slot[end..<end + BLAKE3Value.byteCount]))
          end += BLAKE3Value.byteCount
        }
        return end
      },
      consume: { item, slot throws(Fault) in
        try Interruption.check()
        let count = min(tile, size - item * tile)
        values += slot[count...]
        try body(UnsafeRawBufferPointer(rebasing: slot[..<count]))
      })
    return values.withUnsafeMutableBytes { BLAKE3.join($0) }
  }
}
