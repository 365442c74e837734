internal import Compression
internal import Dialects
internal import Formats
package import Platform
internal import Tensors

extension PackableModel {
  /// Packs the model without loss: see `PackedFile`. Files without weights are copied; a folder gets
  /// the list of all files (`PackReport`).
  ///
  /// The output appears under its name when it is complete and flushed, or not at all.
  ///
  /// - Parameter progress: called with the bytes that are done, and all of them.
  /// - Throws: `.cannotCreate` where the place is taken or full, `.inputOutput` where reading or
  ///   writing fails, `.malformed` where the model changes meanwhile, `.interrupted`.
  package func pack(
    to destination: OutputPath, threads: Int, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> PackReport {
    let form: WorkFolder.Form =
      isFolder ? .folder : .files([Folder.name(of: destination.path)])
    return try WorkFolder.writing(to: destination, form: form) { work throws(Fault) in
      var scratch: [ChunkPacker.Scratch] = []
      for _ in 0..<threads { scratch.append(try ChunkPacker.Scratch()) }
      var files: [PackReport.File] = []
      var done = 0
      let report = { (bytes: Int) in
        done += bytes
        progress(done, byteCount)
      }
      for file in weights {
        let name = isFolder ? file.name : Folder.name(of: destination.path)
        files.append(
          try PackedFileWriter(file, scratch: scratch).write(to: work.create(name), report: report))
      }
      for file in others {
        let hash = try work.copy(file, report: report)
        files.append(
          PackReport.File(
            name: file.name, byteCount: file.byteCount, packedByteCount: file.byteCount,
            hash: hash, isPacked: false))
      }
      let result = PackReport(files)
      if isFolder {
        try work.write(PackedFile.listName, Array((result.json.printed() + "\n").text.utf8))
      }
      for file in weights { try file.file.requireUnchanged() }
      return result
    }
  }
}

/// Writes one packed file.
private struct PackedFileWriter {
  private let weights: PackableModel.Weights
  private let packer: ChunkPacker
  private let threads: Int

  init(_ weights: PackableModel.Weights, scratch: [ChunkPacker.Scratch]) {
    self.weights = weights
    packer = ChunkPacker(weights, scratch: scratch)
    threads = scratch.count
  }

  func write(
    to output: OutputFile, report: (_ bytes: Int) -> Void
  ) throws(Fault) -> PackReport.File {
    let size = weights.file.size
    let most = PackedFile.mostBytes(size, weights.parts)
    let header = PackedHeader(names: weights.names + [PackedFile.indexName], most: most)
    try output.append([UInt8](repeating: UInt8(ascii: " "), count: header.byteCount))
    var sizes = [Int](repeating: 0, count: weights.parts.count)
    var chunks: [PackedIndex.Chunk] = []
    var hashes: [UInt8] = []
    try OrderedPipeline.run(
      threads: threads, count: packer.count, slots: 2 * threads + 2,
      slotBytes: ChunkPacker.slotBytes,
      produce: { worker, item, slot throws(Fault) in
        try packer.produce(item, worker: worker, into: slot)
      },
      consume: { item, slot throws(Fault) in
        try Interruption.check()
        let tile = packer.tile(item, slot)
        try output.append(tile.bytes)
        for (part, chunk) in zip(packer.parts(ofTile: item), tile.chunks) {
          sizes[part] += chunk.byteCount
        }
        chunks += tile.chunks
        hashes += tile.hashes
        report(packer.byteCount(ofTile: item))
      })
    let hash = hashes.withUnsafeMutableBytes { BLAKE3.join($0) }
    let index = try Zstandard.compress(
      PackedIndex.encoded(weights.parts, names: weights.names, chunks: chunks, hash: hash))
    try output.append(index)
    try output.replaceBeginning(header.bytes(sizes: sizes + [index.count]))
    try output.finish()
    return PackReport.File(
      name: weights.name, byteCount: size, packedByteCount: output.count, hash: hash,
      isPacked: true)
  }
}

extension WorkFolder {
  /// Copies a file; returns BLAKE3 of its bytes.
  func copy(_ side: SideFile, report: (_ bytes: Int) -> Void) throws(Fault) -> BLAKE3Value {
    let input = try side.open()
    let output = try create(side.name)
    let hash = try input.hash { bytes throws(Fault) in
      try Interruption.check()
      try output.append(bytes)
      report(bytes.count)
    }
    try input.requireUnchanged()
    try output.finish()
    return hash
  }
}

extension InputFile {
  /// BLAKE3 of the file, which is read piece by piece.
  ///
  /// - Parameter body: is given the pieces in their order.
  func hash(_ body: (UnsafeRawBufferPointer) throws(Fault) -> Void) throws(Fault) -> BLAKE3Value {
    let step = BLAKE3.pieceBytes
    var values = [UInt8](repeating: 0, count: BLAKE3.pieces(of: size) * BLAKE3Value.byteCount)
    let buffer = ByteBuffer(count: min(step, size))
    var place = 0
    for start in stride(from: 0, to: max(1, size), by: step) {
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<min(step, size - start)])
      try read(at: start, into: piece)
      values.withUnsafeMutableBytes { values in
        BLAKE3.hash(
          part: UnsafeRawBufferPointer(piece), from: start, isWhole: piece.count == size,
          into: UnsafeMutableRawBufferPointer(
            rebasing: values[place..<place + BLAKE3Value.byteCount]))
      }
      place += BLAKE3Value.byteCount
      try body(UnsafeRawBufferPointer(piece))
    }
    return values.withUnsafeMutableBytes { BLAKE3.join($0) }
  }
}
