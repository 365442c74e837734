package import Platform

/// A parser of files that come from elsewhere, as the fuzz targets and the test of the corpora call
/// it: all that the program does with such a file before it trusts it.
package struct ParserEntry: Sendable {
  /// What it reads: the name of its fuzz target and of the folder of its corpus.
  package let name: String
  private let body: @Sendable (borrowing ParserInput) throws(Fault) -> Void

  init(_ name: String, _ body: @escaping @Sendable (borrowing ParserInput) throws(Fault) -> Void) {
    self.name = name
    self.body = body
  }

  /// Reads an input as if it were a file.
  ///
  /// - Returns: why it is refused; nil where it is accepted.
  package func read(_ bytes: [UInt8]) -> Fault? {
    let input = ParserInput(bytes)
    do throws(Fault) {
      try body(input)
      return nil
    } catch {
      return error
    }
  }

  /// What `LLVMFuzzerTestOneInput` does: reads an input, and ends the process where the answer is
  /// not one that a user can be given.
  ///
  /// - Returns: 0, as libFuzzer asks for.
  package func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    if let fault = read(Array(UnsafeBufferPointer(start: data, count: count))) {
      precondition(ParserEntry.isClear(fault), "\(fault)")
    }
    return 0
  }

  /// Whether a fault blames the input, in one bounded line that cannot command a terminal.
  package static func isClear(_ fault: Fault) -> Bool {
    let line = fault.description
    return (fault.kind == .malformed || fault.kind == .usage) && !fault.message.isEmpty
      && line.utf8.count < 40_000
      && line.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }
}

extension ParserEntry {
  /// Every parser; a new one is a row here, a file in `Fuzz/Targets` and a folder in `Fuzz/Corpora`.
  package static let all: [ParserEntry] = [
    safetensorsHeader, safetensorsIndex, config, nativeConfig, compressedConfig, mlxConfig,
    tokenizer, tiktoken, chatTemplate, pattern, gguf, importance, recipe, baseline, thresholds,
    hashList, manifest, journal, tokenIDs, packed, hubList, s3List, answerHead, partResult,
    partNumbers,
  ]
}
