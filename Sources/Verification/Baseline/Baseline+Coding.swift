internal import Compression
internal import Models
package import Platform

extension Baseline.Header {
  static let schema = "fathom.fixture/1"
  /// Tokens that a baseline may have.
  private static let tokenLimit = 1 << 22

  var json: JSONValue {
    func list(_ numbers: [Int]) -> JSONValue { .array(numbers.map { .integer($0) }) }
    return .object([
      "schema": .string(Self.schema), "reference": .string(reference),
      "mtpLayers": .integer(mtpLayers), "lengths": list(lengths), "entries": list(entries),
      "choices": list(choices), "measured": measured, "config": config,
    ])
  }

  /// Reads and checks the header; what exists fits together.
  init(json: JSONValue, file: String) throws(Fault) {
    func fault(_ key: String, _ expected: String) -> Fault {
      Fault(
        .malformed, "header key \"\(key)\" of the baseline", file: file, expected: expected,
        found: json[key].map { String($0.text(indent: nil).prefix(80)) } ?? "nothing")
    }
    func counts(_ key: String, _ range: ClosedRange<Int>) throws(Fault) -> [Int] {
      guard case .array(let values)? = json[key] else { throw fault(key, "a list of counts") }
      var counts: [Int] = []
      for value in values {
        guard case .integer(let count) = value, range.contains(count) else {
          throw fault(key, "counts from \(range.lowerBound) to \(range.upperBound)")
        }
        counts.append(count)
      }
      return counts
    }
    guard json["schema"] == .string(Self.schema) else { throw fault("schema", Self.schema) }
    guard case .string(let reference)? = json["reference"] else {
      throw fault("reference", "a name")
    }
    self.reference = reference
    config = json["config"] ?? .null
    network = try ModelConfig(json: config, file: file)
    guard case .integer(let mtpLayers)? = json["mtpLayers"],
      (0...network.mtpLayers).contains(mtpLayers)
    else { throw fault("mtpLayers", "at most the config's \(network.mtpLayers)") }
    self.mtpLayers = mtpLayers
    lengths = try counts("lengths", 1...Self.tokenLimit)
    guard !lengths.isEmpty, lengths.count <= Self.tokenLimit,
      lengths.reduce(0, +) <= Self.tokenLimit
    else { throw fault("lengths", "1 to \(Self.tokenLimit) tokens") }
    entries = try counts("entries", 0...Int(Int32.max))
    guard entries.count == mtpLayers + 1 else { throw fault("entries", "\(mtpLayers + 1) counts") }
    choices = try counts("choices", 0...network.routedExperts)
    guard choices.count == network.layers + mtpLayers else {
      throw fault("choices", "\(network.layers + mtpLayers) counts")
    }
    measured = json["measured"] ?? .null
  }
}

extension Baseline {
  /// The file's bytes: the same for the same contents.
  ///
  /// - Throws: `.malformed` for more tokens than a baseline can hold.
  package func encoded() throws(Fault) -> [UInt8] {
    let text = Array(header.json.text(indent: nil).utf8)
    var writer = BytePlaneWriter()
    writer.write(ids: sequences.flatMap { $0 })
    for head in heads { Baseline.write(head, to: &writer) }
    for state in [embedding] + layers.map(\.state) { Baseline.write(state, to: &writer) }
    for layer in layers { writer.write(ids: layer.experts) }
    let payload =
      (0..<4).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + writer.bytes
    guard payload.count <= Baseline.payloadLimit else {
      throw Fault(
        .malformed, "so many tokens do not go into a baseline",
        expected: "at most \(Baseline.payloadLimit) bytes", found: "\(payload.count)")
    }
    let version = (0..<4).map { UInt8(truncatingIfNeeded: Baseline.version >> (8 * $0)) }
    return Baseline.magic + version + [0, 0, 0, 0] + SHA256Digest.hash(payload)
      + (try Zstandard.compress(payload, level: 19))
  }

  private static func write(_ head: BaselineHead, to writer: inout BytePlaneWriter) {
    writer.write(ids: head.counts)
    writer.write(ids: head.ids)
    writer.write(head.logits)
    writer.write(head.normalizers)
    writer.write(head.tailMasses)
    writer.write(head.tailEntropies)
    writer.write(head.targets)
    writer.write(ids: head.sampleIds)
    writer.write(head.sampleLogits)
    write(head.sketch, to: &writer)
  }

  private static func write(_ sketch: StateSketch, to writer: inout BytePlaneWriter) {
    writer.write([sketch.energy])
    writer.write(sketch.stored)
  }

  /// Reads a file.
  ///
  /// - Throws: `.notFound`, `.inputOutput`, or `.malformed` for whatever is wrong with it, before
  ///   anything is computed from it.
  package init(path: String) throws(Fault) {
    try self.init(
      InputFile.contents(of: path, limit: Baseline.fileLimit), file: path)
  }

  /// Reads the bytes of a file.
  package init(_ bytes: [UInt8], file: String) throws(Fault) {
    try self.init(payload: Baseline.payload(bytes, file: file), file: file)
  }

  /// Reads what stands in the frame.
  package init(payload: [UInt8], file: String) throws(Fault) {
    let length = payload.count < 4 ? 0 : (0..<4).reduce(0) { $0 | Int(payload[$1]) << (8 * $1) }
    guard payload.count >= 4, length <= payload.count - 4 else {
      throw Fault(
        .malformed, "has a header that does not fit", file: file,
        expected: "at most \(payload.count) bytes", found: "\(length)")
    }
    header = try Header(
      json: JSONValue(parsing: Array(payload[4..<4 + length]), file: file), file: file)
    var reader = BytePlaneReader(payload, from: 4 + length, file: file)
    let tokens = try reader.ids(
      header.rows(depth: 0), below: header.vocabSize, "a token of the baseline")
    var sequences: [[Int]] = []
    var start = 0
    for length in header.lengths {
      sequences.append(Array(tokens[start..<start + length]))
      start += length
    }
    self.sequences = sequences
    var heads: [BaselineHead] = []
    for depth in 0...header.mtpLayers {
      heads.append(try BaselineHead(&reader, header: header, depth: depth))
    }
    self.heads = heads
    embedding = try StateSketch(&reader)
    var states: [StateSketch] = []
    for _ in header.choices { states.append(try StateSketch(&reader)) }
    var layers: [BaselineLayer] = []
    for (index, choices) in header.choices.enumerated() {
      let depth = max(0, index - header.network.layers + 1)
      let watched = BaselineLayer.count(rows: header.rows(depth: depth))
      let experts = try reader.ids(
        choices * watched, below: header.network.routedExperts, "an expert of the baseline")
      layers.append(BaselineLayer(state: states[index], choices: choices, experts: experts))
    }
    self.layers = layers
    guard reader.position == payload.count else {
      throw Fault(
        .malformed, "goes on after what its header announces", file: file,
        expected: "\(reader.position) bytes", found: "\(payload.count)")
    }
  }

  private static func payload(_ bytes: [UInt8], file: String) throws(Fault) -> [UInt8] {
    guard bytes.count >= prefix, Array(bytes[..<8]) == magic else {
      throw Fault(.malformed, "is no baseline", file: file, expected: "FATHOMFX at its start")
    }
    let version = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[8 + $1]) << (8 * UInt32($1)) }
    guard version == Self.version, bytes[12..<16].allSatisfy({ $0 == 0 }) else {
      throw Fault(
        .malformed, "is a baseline of another version", file: file, offset: 8,
        expected: "\(Self.version)", found: "\(version)")
    }
    let payload = try Zstandard.decompress(
      Array(bytes[prefix...]), limit: payloadLimit, file: file)
    let digest = SHA256Digest.hash(payload)
    guard digest == Array(bytes[16..<prefix]) else {
      throw Fault(
        .malformed, "does not match its SHA-256", file: file, offset: 16,
        expected: SHA256Digest.text(Array(bytes[16..<prefix])), found: SHA256Digest.text(digest))
    }
    return payload
  }
}

extension StateSketch {
  init(_ reader: inout BytePlaneReader) throws(Fault) {
    let energy = try reader.doubles(1, "a sketch")[0]
    guard energy >= 0 else {
      throw Fault(.malformed, "a sum of squares is negative", file: reader.file, found: "\(energy)")
    }
    self.init(buckets: try reader.floats(StateSketch.size, "a sketch"), energy: energy)
  }
}

extension BaselineHead {
  /// Reads the arrays of a head and checks that they can be what was kept of distributions.
  init(
    _ reader: inout BytePlaneReader, header: Baseline.Header, depth: Int
  ) throws(Fault) {
    let (rows, entries) = (header.rows(depth: depth), header.entries[depth])
    let vocabSize = header.vocabSize
    counts = try reader.ids(rows, below: vocabSize + 1, "a count of the baseline")
    guard counts.allSatisfy({ $0 > 0 }), counts.reduce(0, +) == entries else {
      throw Fault(
        .malformed, "the counts of a head do not add up", file: reader.file, expected: "\(entries)",
        found: "\(counts.reduce(0, +))")
    }
    ids = try reader.ids(entries, below: vocabSize, "a token of a head")
    logits = try reader.floats(entries, "a logit of a head")
    normalizers = try reader.doubles(rows, "a normalizer")
    tailMasses = try reader.doubles(rows, "the mass of a tail")
    tailEntropies = try reader.doubles(rows, "the entropy of a tail")
    targets = try reader.floats(rows, "the logit of a token")
    sampleIds = try reader.ids(rows * BaselineHead.samples, below: vocabSize, "a drawn token")
    sampleLogits = try reader.floats(rows * BaselineHead.samples, "the logit of a drawn token")
    sketch = try StateSketch(&reader)
    var start = 0
    for row in 0..<rows {
      try check(row, start..<start + counts[row], vocabSize: vocabSize, file: reader.file)
      start += counts[row]
    }
  }

  /// Throws unless a position's numbers are parts of one distribution.
  private func check(
    _ row: Int, _ range: Range<Int>, vocabSize: Int, file: String
  ) throws(Fault) {
    func fault(_ message: String, _ expected: String, _ found: String) -> Fault {
      Fault(
        .malformed, "position \(row) of the baseline \(message)", file: file, expected: expected,
        found: found)
    }
    guard Set(ids[range]).count == range.count else {
      throw fault("names a token twice", "distinct tokens", "\(range.count) entries")
    }
    guard zip(logits[range], logits[range].dropFirst()).allSatisfy({ $0 >= $1 }) else {
      throw fault("is out of order", "falling logits", "a rising one")
    }
    let kept = range.reduce(0) { $0 + Mathematics.exp(Double(logits[$1]) - normalizers[row]) }
    guard (0...1).contains(tailMasses[row]), abs(kept + tailMasses[row] - 1) < 1e-6,
      tailEntropies[row] <= 0, range.count < vocabSize || tailMasses[row] == 0
    else {
      throw fault(
        "is no distribution", "probabilities that make 1", "\(kept) and \(tailMasses[row])")
    }
  }
}
