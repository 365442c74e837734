internal import CZstd
package import Platform

/// Lossless compression with zstd: one frame with its size and a checksum.
package enum Zstandard {
  /// Compresses `bytes` into one frame that states their number and carries a checksum.
  ///
  /// - Parameter level: 1 (fast) to 19 (small).
  /// - Throws: `.inputOutput` where zstd cannot work, for lack of memory.
  package static func compress(_ bytes: [UInt8], level: Int = 3) throws(Fault) -> [UInt8] {
    precondition((1...19).contains(level))
    guard let context = ZSTD_createCCtx() else { throw failure("cannot compress", "no memory") }
    defer { ZSTD_freeCCtx(context) }
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    var code = 0
    let frame = [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(bytes.count)) {
      buffer, count in
      code = ZSTD_compress2(context, buffer.baseAddress, buffer.count, bytes, bytes.count)
      count = ZSTD_isError(code) == 0 ? code : 0
    }
    guard ZSTD_isError(code) == 0 else { throw failure("cannot compress", name(of: code)) }
    return frame
  }

  /// Restores what `compress` was given.
  ///
  /// - Parameters:
  ///   - limit: the most bytes that the frame may hold, so that a small file cannot fill memory.
  ///   - file: the file that the frame stands in, for messages.
  /// - Throws: `.malformed` for what is no whole frame, does not state its size, states more than
  ///   `limit`, or does not match its checksum.
  package static func decompress(
    _ frame: [UInt8], limit: Int, file: String
  ) throws(Fault) -> [UInt8] {
    let stated = ZSTD_getFrameContentSize(frame, frame.count)
    // The two largest values stand for "unknown" and "no frame".
    guard stated < UInt64.max - 1 else {
      throw Fault(
        .malformed, "is no zstd frame that states its size", file: file,
        found: "\(frame.count) bytes")
    }
    guard stated <= UInt64(limit) else {
      throw Fault(
        .malformed, "holds more than it may", file: file, expected: "at most \(limit) bytes",
        found: "\(stated)")
    }
    var code = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: max(1, Int(stated))) { buffer, count in
      code = ZSTD_decompress(buffer.baseAddress, Int(stated), frame, frame.count)
      count = ZSTD_isError(code) == 0 ? code : 0
    }
    guard ZSTD_isError(code) == 0 else {
      throw Fault(.malformed, "is a damaged zstd frame", file: file, found: name(of: code))
    }
    guard bytes.count == Int(stated) else {
      throw Fault(
        .malformed, "is a damaged zstd frame", file: file, expected: "\(stated) bytes",
        found: "\(bytes.count)")
    }
    return bytes
  }

  private static func name(of code: Int) -> String { String(cString: ZSTD_getErrorName(code)) }

  private static func failure(_ message: String, _ found: String) -> Fault {
    Fault(.inputOutput, message, found: found)
  }
}
