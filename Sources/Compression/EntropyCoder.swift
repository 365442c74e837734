internal import CZstd
internal import Locks
package import Platform

/// Compresses bytes that hardly repeat but are not equally frequent, such as exponents of weights:
/// zstd frames in which Huffman codes do all the work.
///
/// What zstd's usual levels look for, repeated strings, is found by chance alone in such bytes and
/// costs more than it gives: exponents of BF16 weights take 33 % of their size this way and 37 to
/// 40 % at the usual levels, and are packed and unpacked at several times their speed.
///
/// One thread at a time may use it, hence `@unchecked`.
package final class EntropyCoder: @unchecked Sendable {
  private let context: OpaquePointer

  /// - Throws: `.inputOutput` where zstd has no memory or does not know a setting.
  package init() throws(Fault) {
    guard let context = ZSTD_createCCtx() else {
      throw Fault(.inputOutput, "cannot compress", found: "no memory")
    }
    self.context = context
    let settings: [(ZSTD_cParameter, Int32)] = [
      (ZSTD_c_compressionLevel, ZSTD_minCLevel()),
      // A table of 64 places and strings of 7 bytes: as good as no search.
      (ZSTD_c_hashLog, 6), (ZSTD_c_minMatch, 7),
      (ZSTD_c_contentSizeFlag, 1), (ZSTD_c_checksumFlag, 0),
    ]
    for (parameter, value) in settings {
      let code = ZSTD_CCtx_setParameter(context, parameter, value)
      guard ZSTD_isError(code) == 0 else {
        ZSTD_freeCCtx(context)
        throw Fault(
          .inputOutput, "cannot compress", found: String(cString: ZSTD_getErrorName(code)))
      }
    }
    // `ZSTD_c_literalCompressionMode`: Huffman codes, which levels below 0 leave out. Where a later
    // zstd does not know it, planes stay as they are.
    ZSTD_CCtx_setParameter(context, ZSTD_c_experimentalParam5, 1)
  }

  deinit { ZSTD_freeCCtx(context) }

  /// Compresses `bytes` into one frame at the start of `target`.
  ///
  /// - Returns: the frame's size; nil where it does not fit.
  /// - Throws: `.inputOutput` where zstd fails.
  package func compress(
    _ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int? {
    let code = ZSTD_compress2(
      context, target.baseAddress, target.count, bytes.baseAddress, bytes.count)
    guard ZSTD_isError(code) != 0 else { return code }
    guard ZSTD_getErrorCode(code) == ZSTD_error_dstSize_tooSmall else {
      throw Fault(.inputOutput, "cannot compress", found: String(cString: ZSTD_getErrorName(code)))
    }
    return nil
  }
}

/// Restores single frames; contexts are kept for the next one.
package enum EntropyDecoder {
  private struct Context: @unchecked Sendable { let pointer: OpaquePointer }
  private static let idle = Guarded<[Context]>([])
  /// Contexts that are kept: more threads than these make their own each time.
  private static let mostIdle = 64

  /// Restores a frame that must fill `target` exactly; nothing is written beyond that.
  ///
  /// - Returns: nil where it did, else zstd's word for what is wrong with the frame.
  /// - Throws: `.inputOutput` where zstd has no memory.
  package static func decompress(
    _ frame: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> String? {
    guard let context = idle.withLock({ $0.popLast() })?.pointer ?? ZSTD_createDCtx() else {
      throw Fault(.inputOutput, "cannot decompress", found: "no memory")
    }
    defer {
      let isKept = idle.withLock { contexts in
        guard contexts.count < mostIdle else { return false }
        contexts.append(Context(pointer: context))
        return true
      }
      if !isKept { ZSTD_freeDCtx(context) }
    }
    let code = ZSTD_decompressDCtx(
      context, target.baseAddress, target.count, frame.baseAddress, frame.count)
    guard ZSTD_isError(code) == 0 else { return String(cString: ZSTD_getErrorName(code)) }
    return code == target.count ? nil : "\(code) bytes in place of \(target.count)"
  }
}
