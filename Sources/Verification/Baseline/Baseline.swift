internal import Formats
internal import Models
package import Platform
internal import Reference

/// What `verify --record` keeps of a reference, so that candidates can be measured without it.
///
/// The file, version 1, numbers little-endian:
///
/// | bytes | what |
/// |---|---|
/// | 8 | `FATHOMFX` |
/// | 4 | version |
/// | 4 | zero |
/// | 32 | SHA-256 of the payload |
/// | rest | the payload as one zstd frame |
///
/// The payload is the length of a JSON header in 4 bytes, the header (`Header`), and arrays whose
/// lengths follow from the header, each in planes of bytes (`BytePlaneWriter`): the tokens; for each
/// head, main model first, the arrays of `BaselineHead` in their order, then energy and buckets of
/// its sketch; energy and buckets of the embeddings and of each layer's hidden states; for each layer
/// with experts the choices of the watched tokens.
///
/// Baselines were called fixtures once; the first bytes and the schema stay so that those are read.
package struct Baseline: Sendable {
  /// What the arrays belong to.
  let header: Header
  /// The tokens, sequence by sequence.
  let sequences: [[Int]]
  /// The main model's logits, then those of MTP layers.
  let heads: [BaselineHead]
  /// The token embeddings.
  let embedding: StateSketch
  /// Hidden states after each layer, MTP layers last.
  let layers: [BaselineLayer]

  /// The first bytes of the file.
  static let magic = Array("FATHOMFX".utf8)
  static let version: UInt32 = 1
  /// Bytes before the frame.
  static let prefix = 48
  /// Bytes that a payload may have, which are several times as many in memory: those of some 90,000
  /// tokens.
  static let payloadLimit = 64 << 20
  static let fileLimit = 64 << 20

  /// What a baseline may take the place of.
  package static let replaceable = Replaceable.file(beginningWith: magic, called: "a baseline")

  /// Whether a path names a baseline rather than a model; contents tell.
  ///
  /// - Throws: `.inputOutput` where it cannot be read, `.malformed` for a file that is neither.
  package static func isBaseline(_ path: String) throws(Fault) -> Bool {
    guard try Folder.kind(of: path) == .file else { return false }
    let file = try InputFile(path: path)
    if file.size >= magic.count, try file.read(at: 0, count: magic.count) == magic { return true }
    let name = Folder.name(of: path)
    if name.hasSuffix(".safetensors") || name.hasSuffix(".json") { return false }
    guard try ModelFormat.isGGUF(path) else {
      if let nature = try FileNature.of(file) { throw nature.fault(file: path) }
      throw Fault(
        .malformed, "is neither a model nor a baseline", file: path,
        expected: "a folder, a .safetensors or GGUF file, or FATHOMFX at the start of a file")
    }
    return false
  }
}

/// What a baseline keeps of the hidden states after a layer.
package struct BaselineLayer: Sendable, Hashable {
  let state: StateSketch
  /// Experts of a token; 0 for a dense layer.
  let choices: Int
  /// Those of every `stride`-th token, best first.
  let experts: [Int]

  /// At most so many tokens' choices are kept.
  static let watched = 128

  /// Every so many-th of `rows` tokens is watched.
  static func stride(rows: Int) -> Int { max(1, (rows + watched - 1) / watched) }
  /// Tokens that are watched.
  static func count(rows: Int) -> Int { (rows + stride(rows: rows) - 1) / stride(rows: rows) }

  /// Takes a layer as files have it.
  package init(state: StateSketch, choices: Int, experts: [Int]) {
    self.state = state
    self.choices = choices
    self.experts = experts
  }

  init(_ states: Activations, _ routing: Routing?) {
    state = StateSketch(states)
    choices = routing?.choices ?? 0
    guard let routing else {
      experts = []
      return
    }
    experts = Swift.stride(from: 0, to: states.rows, by: BaselineLayer.stride(rows: states.rows))
      .flatMap { routing.experts[$0 * routing.choices..<($0 + 1) * routing.choices] }
  }

  /// Share of the choices of watched tokens that `other` makes too; nil for dense layers.
  func agreement(with other: BaselineLayer) -> Double? {
    guard choices > 0, other.choices == choices, other.experts.count == experts.count else {
      return nil
    }
    func routing(_ layer: BaselineLayer) -> Routing {
      Routing(
        choices: choices, experts: layer.experts,
        weights: [Float](repeating: 1, count: experts.count))
    }
    return routing(other).agreement(with: routing(self))
  }
}

extension Baseline {
  /// The JSON in front of the arrays.
  struct Header: Sendable {
    /// The model as the user named it, without the folders above.
    let reference: String
    /// Its `config.json`, or what the metadata of a GGUF file amounts to.
    let config: JSONValue
    /// What that says.
    let network: ModelConfig
    /// MTP layers whose logits were kept.
    let mtpLayers: Int
    /// Length of each sequence.
    let lengths: [Int]
    /// Entries of each head.
    let entries: [Int]
    /// Experts of a token in each layer, MTP layers last; 0 for dense ones.
    let choices: [Int]
    /// What was measured.
    let measured: JSONValue

    var vocabSize: Int { network.vocabSize }

    /// Positions of a head.
    func rows(depth: Int) -> Int { lengths.reduce(0) { $0 + max(0, $1 - depth) } }
  }
}
