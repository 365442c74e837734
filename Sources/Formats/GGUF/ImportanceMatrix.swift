package import Platform
package import Tensors

/// What `llama-imatrix` measured: how much each column of a tensor weighs in the model's results.
///
/// Reads both of its formats, GGUF and the older `.dat`. The whole file is checked when it is
/// opened; weights are read when they are asked for, a matrix at a time, because those of a large
/// model's experts take a gigabyte. The numbers are those with which llama-quantize would work.
package struct ImportanceMatrix: Sendable {
  /// Names of the texts that were measured, in order.
  package let datasets: [String]
  /// Chunks of text that were measured; 0 where the file does not say.
  package let chunkCount: Int
  /// Tokens of a chunk; nil in the older format, which does not say.
  package let chunkSize: Int?

  /// Tensors that a file may speak of, matrices of one, and matrices in all: each has a divisor.
  static let entryLimit = 100_000
  static let matrixLimit = 1 << 16
  static let totalMatrixLimit = 1 << 22

  /// What was to be included or excluded and is in no name.
  package private(set) var unmatchedParts: [String] = []

  private let file: InputFile
  private var stored: [ExactText: StoredImportance]

  /// Opens a file of either format.
  ///
  /// - Throws: `.malformed` with tensor and offset for what breaks the format, for numbers that are
  ///   not finite, and for files without entries, all of which llama-quantize refuses too.
  package init(path: String) throws(Fault) {
    let file = try InputFile(path: path)
    let contents = try ImportanceContents(file)
    guard !contents.entries.isEmpty else {
      throw Fault(.malformed, "has no entries", file: path)
    }
    for (name, entry) in contents.entries {
      try entry.requireFinite(in: file, tensor: name)
    }
    self.file = file
    datasets = contents.datasets
    chunkCount = contents.chunkCount
    chunkSize = contents.chunkSize
    stored = contents.entries
  }

  /// Where it was read from.
  package var path: String { file.path }

  /// Size and time of the file.
  package var stamp: FileStamp { file.stamp }

  /// The hash of the whole file.
  ///
  /// - Throws: `.inputOutput` where reading fails, `.malformed` where the file has changed.
  package func hash() throws(Fault) -> BLAKE3Value {
    let hash = try BLAKE3Stream.hash(of: file)
    try file.requireUnchanged()
    return hash
  }

  /// The tensors that it speaks of.
  package var names: Set<ExactText> { Set(stored.keys) }

  /// What the file holds of a tensor: how many sums, and of how many tokens they are, a number for
  /// each matrix or one for all. In the older format it is chunks in the place of tokens.
  package func stored(of tensor: ExactText) -> (sums: Int, tokens: [Float])? {
    stored[tensor].map { ($0.count, $0.divisors) }
  }

  /// Some of a tensor's sums of squares, as they are stored; one that `stored(of:)` knows.
  ///
  /// - Throws: `.inputOutput` where reading fails.
  package func sums(of tensor: ExactText, _ range: Range<Int>) throws(Fault) -> [Float] {
    guard let entry = stored[tensor] else { return [] }
    precondition(range.lowerBound >= 0 && range.upperBound <= entry.count)
    return try StoredImportance.numbers(
      in: file, at: entry.offset + 4 * range.lowerBound, count: range.count)
  }

  /// Forgets what `--exclude-weights` names: every tensor whose name contains one of the parts.
  package mutating func exclude(namesContaining parts: [String]) {
    noteUnmatched(parts)
    stored = stored.filter { entry in !parts.contains { entry.key.contains(ExactText($0)) } }
  }

  /// Keeps only what `--include-weights` names; everything where it names nothing.
  package mutating func include(onlyNamesContaining parts: [String]) {
    guard !parts.isEmpty else { return }
    noteUnmatched(parts)
    stored = stored.filter { entry in parts.contains { entry.key.contains(ExactText($0)) } }
  }

  private mutating func noteUnmatched(_ parts: [String]) {
    unmatchedParts += parts.filter { part in !stored.keys.contains { $0.contains(ExactText(part)) }
    }
  }

  /// The weights of a tensor of so many columns and, if it is a stack, matrices.
  ///
  /// - Returns: nil where there are none for it. The embedding table, for which nothing sensible
  ///   can be measured, has none either where those that there are do not fit.
  /// - Parameter addsGroups: whether a file may have sums of several groups of rows of the one matrix,
  ///   of which the mean is taken.
  /// - Throws: `.malformed` where they do not fit any other tensor.
  package func columns(
    of tensor: ExactText, count: Int, matrices: Int = 1, addsGroups: Bool = false
  ) throws(Fault) -> ImportanceColumns? {
    guard let entry = stored[tensor] else { return nil }
    let (wanted, overflow) = count.multipliedReportingOverflow(by: matrices)
    if addsGroups, matrices == 1, entry.divisors.count == 1, entry.count % count == 0 {
      return ImportanceColumns(
        tensor: tensor, count: count, matrices: 1, groups: entry.count / count, file: file,
        entry: entry)
    }
    guard !overflow, entry.count == wanted else {
      if tensor == "token_embd.weight" { return nil }
      throw Fault(
        .malformed, "has as many weights as another shape would need", file: file.path,
        tensor: tensor, offset: UInt64(entry.offset), expected: "\(matrices) times \(count)",
        found: "\(entry.count)")
    }
    return ImportanceColumns(
      tensor: tensor, count: count, matrices: matrices, file: file, entry: entry)
  }

  /// What llama-quantize says of the matrix in its output, in order, behind all other keys.
  ///
  /// The path is the one that the matrix was opened by; texts are cut to 127 bytes.
  package var notes: Metadata {
    var notes = Metadata()
    notes["quantize.imatrix.file"] = .string(ImportanceMatrix.shortened(file.path))
    if let first = datasets.first {
      notes["quantize.imatrix.dataset"] = .string(ImportanceMatrix.shortened(first))
    }
    notes["quantize.imatrix.entries_count"] = .uint32(UInt32(clamping: stored.count))
    if chunkCount > 0 {
      notes["quantize.imatrix.chunks_count"] = .uint32(UInt32(clamping: chunkCount))
    }
    return notes
  }

  /// The text's first 127 bytes; a character that this would cut falls away whole.
  private static func shortened(_ text: String) -> String {
    var end = text.unicodeScalars.startIndex
    var bytes = 0
    for index in text.unicodeScalars.indices {
      bytes += UTF8.width(text.unicodeScalars[index])
      if bytes > 127 { break }
      end = text.unicodeScalars.index(after: index)
    }
    return String(text.unicodeScalars[..<end])
  }
}

/// The weights of one tensor's columns: one row of them for all rows of a matrix.
package struct ImportanceColumns: Sendable, Hashable {
  /// The tensor's name.
  package let tensor: ExactText
  /// Columns of a matrix.
  package let count: Int
  /// Matrices: experts or heads in a stack, otherwise 1.
  package let matrices: Int
  /// Groups of rows that have sums of their own in the file.
  fileprivate var groups = 1
  fileprivate let file: InputFile
  fileprivate let entry: StoredImportance

  /// Equal where they are the same numbers of the same file.
  package static func == (one: ImportanceColumns, other: ImportanceColumns) -> Bool {
    one.tensor == other.tensor && one.count == other.count && one.matrices == other.matrices
      && one.entry.offset == other.entry.offset
      && ExactText(one.file.path) == ExactText(other.file.path)
  }

  /// Hashes what equality looks at first.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(tensor)
    hasher.combine(entry.offset)
  }

  /// Reads the weights of one matrix's columns, all finite.
  package func weights(ofMatrix matrix: Int) throws(Fault) -> [Float] {
    precondition((0..<matrices).contains(matrix))
    do throws(Fault) {
      var weights = try entry.weights(matrix * count..<(matrix + 1) * count, in: file)
      for group in stride(from: 1, to: groups, by: 1) {
        let others = try entry.weights(group * count..<(group + 1) * count, in: file)
        for column in weights.indices { weights[column] += others[column] }
      }
      return groups == 1 ? weights : weights.map { $0 / Float(groups) }
    } catch {
      var fault = error
      fault.tensor = tensor
      throw fault
    }
  }
}

/// Sums of squares in a file, and by what they are divided.
struct StoredImportance: Sendable {
  /// Where the sums start in the file.
  let offset: Int
  /// How many there are, F32.
  let count: Int
  /// One divisor for each equal part of the sums; 0 where nothing was measured, so that all weigh
  /// the same: an expert that no token reached.
  let divisors: [Float]

  private var part: Int { count / divisors.count }

  func weights(_ range: Range<Int>, in file: InputFile) throws(Fault) -> [Float] {
    let sums = try StoredImportance.numbers(
      in: file, at: offset + range.lowerBound * 4, count: range.count)
    let part = part
    return zip(range, sums).map { place, sum in
      let divisor = divisors[place / part]
      return divisor == 0 ? 1 : sum / divisor
    }
  }

  /// Checks the sums that count, some at a time.
  func requireFinite(in file: InputFile, tensor: ExactText) throws(Fault) {
    let step = 1 << 18
    for start in stride(from: 0, to: count, by: step) {
      let sums = try StoredImportance.numbers(
        in: file, at: offset + start * 4, count: min(step, count - start))
      for (index, sum) in sums.enumerated() where !sum.isFinite {
        let place = start + index
        guard divisors[place / part] != 0 else { continue }
        throw Fault(
          .malformed, "holds a weight that is not finite", file: file.path, tensor: tensor,
          offset: UInt64(offset + place * 4), found: "\(sum)")
      }
    }
  }

  static func numbers(
    in file: InputFile, at offset: Int, count: Int
  ) throws(Fault) -> [Float] {
    let bytes = try file.read(at: offset, count: count * 4)
    return bytes.withUnsafeBytes { raw in
      (0..<count).map {
        Float(
          bitPattern: UInt32(
            littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
      }
    }
  }
}

/// What an importance matrix's file says, in whichever format.
struct ImportanceContents {
  var entries: [ExactText: StoredImportance] = [:]
  var datasets: [String] = []
  var chunkCount = 0
  var chunkSize: Int?

  init(_ file: InputFile) throws(Fault) {
    if try GGUFHeader.isGGUF(file) {
      try readGGUF(file)
    } else {
      var reader = ImportanceDataReader(file)
      try reader.read(into: &self)
    }
  }
}
