package import Conversion
internal import Formats
package import Platform

/// Lists of F64 numbers that a part has found, beside its file: `imatrix-3-of-16.numbers`.
///
/// The file is `magic` and then the numbers, little-endian, list after list. How many each has and the
/// BLAKE3 of its bytes stand in the part's file, which has a hash of its own: what is damaged, or left
/// by another run, is refused.
package enum PartNumbers {
  static let magic = Array("fathom.numbers/1".utf8)

  /// Bytes of a file with so many numbers.
  package static func byteCount(of numbers: Int) -> Int {
    magic.count + numbers * MemoryLayout<Double>.stride
  }

  /// Numbers as little-endian bytes.
  package static func bytes<Result>(
    of numbers: [Double], _ use: (UnsafeRawBufferPointer) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    let bits = numbers.map(\.bitPattern.littleEndian)
    return try bits.withUnsafeBytes { bytes in
      Swift.Result<Result, Fault> { () throws(Fault) in try use(bytes) }
    }.get()
  }

  /// The numbers that such bytes are.
  package static func numbers(_ bytes: [UInt8]) -> [Double] {
    let stride = MemoryLayout<UInt64>.stride
    return bytes.withUnsafeBytes { bytes in
      (0..<bytes.count / stride).map {
        Double(
          bitPattern: UInt64(
            littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * stride, as: UInt64.self)))
      }
    }
  }

  /// What a part's numbers may take the place of: those of an earlier run.
  package static let replaceable = Replaceable.file(
    beginningWith: magic, called: "a file of a part's numbers")

  /// Writes lists one after the other; the file is complete or absent.
  package struct Writer {
    private let file: AtomicFile
    private var counts: [Int] = []
    private var hashes: [BLAKE3Value] = []

    /// Creates the file.
    ///
    /// - Throws: `.cannotCreate` with the system's reason.
    package init(at destination: OutputPath) throws(Fault) {
      file = try AtomicFile(at: destination)
      try file.file.append(magic)
    }

    /// Writes the next list.
    ///
    /// - Throws: `.cannotCreate` or `.inputOutput` where it cannot be written.
    package mutating func append(_ numbers: [Double]) throws(Fault) {
      hashes.append(
        try PartNumbers.bytes(of: numbers) { bytes throws(Fault) in
          try file.file.append(bytes)
          return BLAKE3.hash(bytes)
        })
      counts.append(numbers.count)
    }

    /// Gives the file its name.
    ///
    /// - Returns: what the part's file says of it.
    /// - Throws: `.cannotCreate` or `.inputOutput` where it cannot be flushed.
    package func commit() throws(Fault) -> [JSONValue] {
      try file.commit()
      return [.array([.array(counts.map { .integer($0) })])] + hashes.map { .string($0.text) }
    }
  }

  /// Reads lists of a part's file.
  package struct Reader: Sendable {
    private let file: InputFile
    private let hashes: [BLAKE3Value]
    private let starts: [Int]
    /// Numbers of each list.
    package let counts: [Int]

    /// Opens the file.
    ///
    /// - Parameters:
    ///   - values: what the part's file says.
    ///   - path: the file of the numbers.
    /// - Throws: `.notFound` where it is missing, `.malformed` where it is not what the part's file
    ///   says, `.inputOutput`.
    package init(_ values: [JSONValue], path: String) throws(Fault) {
      let counts = Reader.counts(values.first)
      let hashes = values.dropFirst().compactMap { value in
        if case .string(let text) = value { BLAKE3Value(text: text) } else { nil }
      }
      guard let counts, hashes.count == counts.count, values.count == counts.count + 1 else {
        throw Fault(
          .malformed, "is spoken of by a part's file without a count and a hash for each list",
          file: path)
      }
      var starts: [Int] = []
      var end = magic.count
      for count in counts {
        starts.append(end)
        end += count * MemoryLayout<Double>.stride
      }
      file = try InputFile(path: path)
      guard file.size == end else {
        throw Fault(
          .malformed, "is not what the part wrote", file: path, expected: "\(end) bytes",
          found: "\(file.size)")
      }
      guard try file.read(at: 0, count: magic.count) == magic else {
        throw Fault(
          .malformed, "is not what the part wrote", file: path,
          expected: "\(String(decoding: magic, as: UTF8.self)) at its beginning")
      }
      (self.counts, self.hashes, self.starts) = (counts, hashes, starts)
    }

    /// Most numbers of a file: far more than any has, and few enough for their bytes to be counted.
    private static let mostNumbers = 1 << 50

    private static func counts(_ value: JSONValue?) -> [Int]? {
      guard case .array(let lists)? = value, lists.count == 1, case .array(let items) = lists[0]
      else { return nil }
      var counts: [Int] = []
      var all = 0
      for case .integer(let count) in items where (0...mostNumbers).contains(count) {
        all += count
        guard all <= mostNumbers else { return nil }
        counts.append(count)
      }
      return counts.count == items.count ? counts : nil
    }

    /// Reads a list.
    ///
    /// - Throws: `.malformed` where it is not what the part wrote, `.inputOutput`.
    package func read(_ list: Int) throws(Fault) -> [Double] {
      let size = counts[list] * MemoryLayout<Double>.stride
      let bytes = try file.read(at: starts[list], count: size)
      guard BLAKE3.hash(bytes) == hashes[list] else { throw fault("is not what the part wrote") }
      return PartNumbers.numbers(bytes)
    }

    /// What is wrong with what the file holds.
    package func fault(_ message: String, expected: String? = nil, found: String? = nil) -> Fault {
      Fault(.malformed, message, file: file.path, expected: expected, found: found)
    }
  }
}

extension PartResults {
  /// The path of a part's numbers, for commands that leave such.
  package func numbersPath(of part: PartChoice, in folder: String) -> String {
    Folder.join(folder, ExactText("\(command)-\(part.number)-of-\(part.count).numbers"))
  }

  /// Opens the numbers of all parts, in their order.
  ///
  /// - Throws: as `all(in:)` and `PartNumbers.Reader` do.
  package func allNumbers(in folder: String) throws(Fault) -> [PartNumbers.Reader] {
    let all = try all(in: folder)
    var readers: [PartNumbers.Reader] = []
    for (part, values) in zip(PartChoice.all(of: all.count), all) {
      readers.append(try PartNumbers.Reader(values, path: numbersPath(of: part, in: folder)))
    }
    return readers
  }
}
