internal import Calibration
internal import Conversion
internal import Dialects
internal import Inspection
internal import Mixes
internal import Passes
internal import Platform
internal import Tensors
internal import Verification

extension ParserEntry {
  /// A recipe file, also as what another recipe's search has measured.
  package static let recipe = ParserEntry("recipe") { (input) throws(Fault) in
    _ = try refused { () throws(Fault) in try RecipeEvidence(path: input.path) }
    let matches: [String]
    do throws(Fault) {
      matches = try RecipeFile<ElementType>(path: input.path).rules.map(\.match)
    } catch {
      // For another format.
      guard error.kind == .usage else { throw error }
      matches = try RecipeFile<MLXStorage>(path: input.path).rules.map(\.match)
    }
    for match in matches {
      let glob = Glob(match)
      for name in ["blk.0.ffn_down_exps.weight", "token_embd.weight"] { _ = glob.matches(name) }
    }
  }

  /// A baseline of `verify`. What does not begin as one does is taken for the payload of one, which
  /// no mutation could reach: it stands compressed behind its own digest.
  package static let baseline = ParserEntry("baseline") { (input) throws(Fault) in
    if input.bytes.starts(with: "FATHOMFX".utf8) {
      _ = try Baseline(input.bytes, file: "input.baseline")
    } else {
      _ = try Baseline(payload: input.bytes, file: "input.baseline")
    }
  }

  /// A file of limits for `verify`.
  package static let thresholds = ParserEntry("thresholds") { (input) throws(Fault) in
    _ = try ThresholdFile.read(input.path)
  }

  /// A list of content hashes, as text or JSON.
  package static let hashList = ParserEntry("hash-list") { (input) throws(Fault) in
    _ = try HashList(path: input.path)
  }

  /// The manifest of a conversion, also as a list of the hashes of its source.
  package static let manifest = ParserEntry("manifest") { (input) throws(Fault) in
    _ = try refused { () throws(Fault) in try HashList(path: input.path) }
    _ = try ManifestFile(path: input.path)
  }

  /// The journal of a conversion: both copies, with a NUL between them, or one for both. Lines that
  /// do not begin as those of a journal do get their checksums, which no mutation could reach.
  package static let journal = ParserEntry("journal") { (input) throws(Fault) in
    let halves = input.halves
    let (one, other) = (summed(halves.first), summed(halves.second))
    do throws(Fault) {
      let records = try ConversionRecords(
        journal: one, copy: other.isEmpty ? one : other, file: "journal")
      precondition(records.byteCount >= 0)
    } catch {
      // What is wrong with a journal keeps the output from being made.
      guard error.kind == .cannotCreate else { throw error }
      throw Fault(
        .malformed, error.message, file: error.file, offset: error.offset,
        expected: error.expected, found: error.found)
    }
  }

  /// Lines behind their checksums.
  private static func summed(_ text: [UInt8]) -> [UInt8] {
    let isSummed = text.prefix(9).count == 9 && text[8] == UInt8(ascii: " ")
    guard !text.isEmpty, !isSummed else { return text }
    return text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).flatMap {
      line -> [UInt8] in
      let sum = line.withUnsafeBytes { CRC32C($0) }
      return Array("\(sum.text) ".utf8) + line + [UInt8(ascii: "\n")]
    }
  }

  /// Token ids, as JSON or as a safetensors file.
  package static let tokenIDs = ParserEntry("token-ids") { (input) throws(Fault) in
    _ = try TokenInput.read(input.path)
  }
}
