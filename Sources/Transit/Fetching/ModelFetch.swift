internal import Dialects
internal import Formats
package import Platform
internal import Tensors

/// The files of a model that lies elsewhere, and how they come here.
///
/// What is fetched is what a model is made of: the weights that its index or its names call for, its
/// config, tokenizer, code and documents. A repository's other forms of the same weights stay there.
package struct ModelFetch {
  /// A file to fetch.
  struct File {
    let name: ExactText
    let file: InputFile

    /// What tells its contents from others.
    var tag: String { file.statedSHA256 ?? "\(file.stamp.seconds)-\(file.stamp.nanoseconds)" }
  }

  /// Where the model lies, with what pins its contents.
  package let source: String
  let files: [File]

  /// Bytes of a piece.
  private static let pieceBytes = 4 << 20

  /// Looks at a model: its headers are read and checked first, so that nothing is fetched in vain.
  ///
  /// - Throws: `.usage` where it lies on this machine; what opening the model throws.
  package init(path: String, threads: Int) throws(Fault) {
    let place = try ModelPlace(path)
    let folder: InputFolder
    var names: [ExactText]
    if place.kind == .gguf {
      folder = try InputFolder(around: place.path)
      names = try GGUFFiles(path: place.path).inventory.shards.map(\.name)
    } else {
      try place.requireWeights()
      let survey = try CheckpointSurvey(path: place.path, threads: threads)
      folder = survey.files
      names = try Checkpoint(survey).inventory.shards.map(\.name)
      if survey.index != nil { names.append(SafetensorsIndex.fileName) }
    }
    let weights = Set(names)
    for name in try folder.listing().names where !weights.contains(name) {
      let part = ModelFileName.part(RawName(name))
      if [.config, .companion, .document].contains(part) { names.append(name) }
    }
    var files: [File] = []
    for name in names.sorted() { files.append(File(name: name, file: try folder.open(name))) }
    guard folder.isDistant else {
      throw Fault(
        .usage, "lies on this machine already", file: path,
        expected: "hf://ORG/NAME, or an address")
    }
    self.files = files
    source = Folder.resolved(folder.path)
  }

  /// Bytes of all files.
  package var byteCount: Int { files.reduce(0) { $0 + $1.file.size } }

  /// Fetches what is not there yet.
  ///
  /// - Parameters:
  ///   - path: the folder to fill.
  ///   - overwrite: whether files of the same names and other contents may be replaced.
  ///   - progress: called with the bytes that are done, and all of them.
  /// - Throws: `.cannotCreate` where another file has a name, or there is no room; `.malformed` where
  ///   what came is not what the hub says; `.inputOutput` and `.interrupted`, after which the same
  ///   command goes on.
  package func run(
    to path: String, overwrite: Bool, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> FetchResult {
    let folder = try DownloadFolder(path)
    var result = FetchResult(source: source, output: path, files: [])
    var jobs: [(file: File, kept: Int, digest: SHA256Digest)] = []
    var done = 0
    for file in files {
      try Interruption.check()
      if let there = try folder.whole(file.name) {
        if try ModelFetch.isSame(there, file.file) {
          result.files.append(.init(file, .kept))
          done += file.file.size
          continue
        }
        guard overwrite else {
          throw Fault(
            .cannotCreate, "is there already, with other contents", file: there.path,
            expected: "an empty folder, or --overwrite")
        }
      }
      let (kept, digest) = try ModelFetch.kept(of: file, in: folder)
      done += kept
      jobs.append((file, kept, digest))
    }
    try requireRoom(byteCount - done, in: folder.path)
    for job in jobs where job.file.file.isDistant {
      job.file.file.fetchAhead(at: job.kept, count: job.file.file.size - job.kept)
    }
    for job in jobs {
      try fetch(job.file, into: folder, after: job.kept, job.digest, replaces: overwrite) { count in
        done += count
        progress(done, byteCount)
      }
      result.files.append(.init(job.file, job.kept > 0 ? .continued : .fetched))
    }
    result.files.sort { $0.name < $1.name }
    folder.finish()
    return result
  }

  /// Whether a file here has the contents of the one that lies elsewhere.
  private static func isSame(_ there: InputFile, _ file: InputFile) throws(Fault) -> Bool {
    guard there.size == file.size else { return false }
    var digest = SHA256Digest()
    for start in stride(from: 0, to: there.size, by: pieceBytes) {
      try Interruption.check()
      let count = min(pieceBytes, there.size - start)
      let bytes = try there.read(at: start, count: count)
      if file.statedSHA256 == nil, try file.read(at: start, count: count) != bytes { return false }
      digest.update(bytes)
    }
    return file.statedSHA256.map { SHA256Digest.text(digest.finish()) == $0 } ?? true
  }

  /// What an earlier run has of a file. Without a hash nobody could tell later whether it fits.
  private static func kept(
    of file: File, in folder: DownloadFolder
  ) throws(Fault) -> (count: Int, digest: SHA256Digest) {
    var digest = SHA256Digest()
    guard file.file.statedSHA256 != nil,
      let part = try folder.beginning(file.name, tag: file.tag), part.size <= file.file.size
    else { return (0, digest) }
    for start in stride(from: 0, to: part.size, by: pieceBytes) {
      try Interruption.check()
      digest.update(try part.read(at: start, count: min(pieceBytes, part.size - start)))
    }
    return (part.size, digest)
  }

  private func requireRoom(_ bytes: Int, in folder: String) throws(Fault) {
    guard let free = OutputPath.freeBytes(beside: Folder.join(folder, "x")), free < bytes else {
      return
    }
    throw Fault(
      .cannotCreate, "does not fit on its file system", file: folder,
      expected: "\(bytes) bytes free", found: "\(free)")
  }

  private func fetch(
    _ file: File, into folder: DownloadFolder, after kept: Int, _ digest: SHA256Digest,
    replaces: Bool, report: (Int) -> Void
  ) throws(Fault) {
    var digest = digest
    let (size, tag) = (file.file.size, file.tag)
    let output = try folder.open(file.name, tag: tag, after: kept)
    let piece = ByteBuffer(count: max(1, min(ModelFetch.pieceBytes, size)))
    for start in stride(from: kept, to: size, by: piece.count) {
      try Interruption.check()
      let count = min(piece.count, size - start)
      let bytes = UnsafeMutableRawBufferPointer(rebasing: piece.bytes[..<count])
      try file.file.read(at: start, into: bytes)
      digest.update(UnsafeRawBufferPointer(bytes))
      try output.append(UnsafeRawBufferPointer(bytes))
      report(count)
    }
    try output.finish()
    let found = SHA256Digest.text(digest.finish())
    if let expected = file.file.statedSHA256, expected != found {
      folder.discard(file.name, tag: tag)
      var fault = Fault(
        .malformed, "is not what its server says", file: file.file.path,
        expected: "SHA-256 \(expected)", found: found)
      fault.advice = "what came was thrown away: the same command fetches this file anew"
      throw fault
    }
    try folder.commit(file.name, tag: tag, replaces: replaces)
  }
}
