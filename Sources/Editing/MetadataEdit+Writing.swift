internal import Formats
package import Platform
internal import Tensors

extension MetadataEdit {
  /// Bytes of tensors that are in memory at a time.
  private static let window = 8 << 20

  /// Puts back what an earlier edit of a file has left that was killed.
  ///
  /// - Returns: whether there was something.
  /// - Throws: what `FilePatch.recover` throws.
  package static func recover(_ model: String) throws(Fault) -> Bool {
    guard try Folder.kind(of: model) == .file else { return false }
    return try FilePatch.recover(model)
  }

  /// Exchanges the bytes before the tensors, where they fit.
  ///
  /// - Throws: what `FilePatch` throws.
  package func writeInPlace() throws(Fault) {
    precondition(header.fits)
    Interruption.listen()
    let old = try file.read(at: 0, count: header.oldDataStart)
    try FilePatch.replaceBeginning(of: path, old, with: header.bytes)
  }

  /// Writes a new file, which appears under its name when it is complete and on the disk.
  ///
  /// - Parameters:
  ///   - destination: the name; that of the file itself where it is to be replaced.
  ///   - progress: is told the bytes that are written, and all of them.
  /// - Throws: `.cannotCreate` and `.inputOutput` as writing does; `.interrupted`. What stood there
  ///   before is untouched then.
  package func write(
    to destination: OutputPath, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    try destination.requireSpace(byteCount)
    let output = try AtomicFile(at: destination)
    // Where the tensors stay where they are, both files can share them.
    let isCloned = header.fits ? try output.file.clone(file) : false
    if isCloned {
      try output.file.replaceBeginning(header.bytes)
    } else {
      try output.file.append(header.bytes)
    }
    let buffer = ByteBuffer(count: min(Self.window, max(1, tensorBytes)))
    var offset = isCloned ? file.size : header.oldDataStart
    while offset < file.size {
      try Interruption.check()
      let count = min(buffer.count, file.size - offset)
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count])
      try file.read(at: offset, into: piece)
      try output.file.append(UnsafeRawBufferPointer(piece))
      offset += count
      progress(output.file.count, byteCount)
    }
    // What was written to meanwhile is no longer what was looked at.
    try file.requireUnchanged()
    try output.commit()
  }
}
