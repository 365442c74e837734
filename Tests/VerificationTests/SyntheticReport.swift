import Formats
import Platform
import Tensors
import Verification

/// Reports without a model behind them: as large as asked for, with names and texts that try to
/// leave their place.
enum SyntheticReport {
  /// Ends elements, attributes, tables, code and lines in every form of report.
  static let hostile = "</title>\"'`|<script>alert(1)</script>&amp;*_[x](y)\n\u{1b}[31m\u{FFFE}$:@"

  static func make(
    layers: Int = 6, experts: Int = 16, positions: Int = 50, sequences: Int = 2,
    value: Double = 1e-3, passes: Bool = false, isIsolated: Bool = true
  ) throws -> VerifyReport {
    let ids = (0..<sequences).map { sequence in
      (0..<positions / sequences).map { (sequence + $0) % 7 }
    }
    func metrics(depth: Int) -> LogitsMetrics {
      let rows = ids.flatMap { sequence in
        sequence.dropLast(depth).indices.map { place in
          LogitsMetrics.Position(
            divergence: value * Double(1 + place % 10), topReference: place % 7,
            topCandidate: place % 5, lossReference: 1, lossCandidate: 1.1)
        }
      }
      return LogitsMetrics(
        rows, nmse: value, maxAbsDifference: 1, nonFinite: value.isNaN ? 3 : 0, interval: nil)
    }
    let rows = (0..<layers).map { layer in
      let uses = (0..<experts).filter { ($0 + layer) % 5 != 0 }
      return LogitsComparison.Layer(
        index: layer, hiddenNmse: value * Double(layer), routerAgreement: layer == 0 ? nil : 0.93,
        experts: layer == 0
          ? []
          : uses.map {
            LogitsComparison.ExpertCount(index: $0, uses: 1 + $0 % 9, candidateUses: $0 % 9)
          },
        own: isIsolated
          ? LogitsComparison.Own(
            nmse: value, routerAgreement: layer == 0 ? nil : 0.99,
            experts: layer == 0
              ? []
              : uses.map {
                LogitsComparison.ExpertUse(
                  index: $0, uses: 1 + $0 % 9, candidateUses: $0 % 9, ownNmse: value,
                  errorShare: Double($0 % 13) / Double(20 * experts))
              }) : nil)
    }
    let comparison = LogitsComparison(
      main: metrics(depth: 0), mtp: [metrics(depth: 1)], embeddingNmse: 0, layers: rows)
    return VerifyReport(
      reference: hostile, candidate: hostile, sequences: ids, comparison: comparison,
      routedExperts: experts, candidateTypes: TypeMap(try inventory(layers: layers)),
      thresholds: [
        Threshold(.maxKL, .main, limit: passes ? 1 : 1e-4),
        Threshold(.maxLayerNMSE, .layers, limit: passes ? 1 : 1e-9),
      ],
      notes: [hostile],
      blame: (0..<12).map { index in
        Blame(
          kind: .tensor, name: "\(hostile).\(index)", layer: 1, tensors: 1,
          bytes: 1000 << index, klMean: value / Double(index + 1), logitsNmse: value,
          weightNmse: value, hint: hostile)
      },
      layerBytes: Dictionary(uniqueKeysWithValues: (0..<layers).map { ($0, 1_000_000 + $0) }),
      hashes: (
        ModelHash(.contents, BLAKE3.hash([1])), ModelHash(.headers, BLAKE3.hash([2]))
      ),
      tokenText: { ids in ids.map { "\(hostile)\($0)" }.joined() })
  }

  private static func inventory(layers: Int) throws -> Inventory {
    var tensors: [StoredTensor] = []
    func add(_ name: String, _ type: ElementType) {
      tensors.append(
        StoredTensor(
          name: ExactText(name), type: type, shape: Shape([32, 32])!, shard: 0, offset: 0,
          byteCount: type.byteCount(elements: 1024)!))
    }
    add("model.embed_tokens.weight", .bf16)
    add(hostile, .f32)
    for layer in 0..<layers {
      for part in 0..<12 {
        add("model.layers.\(layer).part\(part)<b>.weight", layer % 3 == 0 ? .q80 : .q40)
      }
      add("model.layers.\(layer).mlp.experts.0.up_proj.weight", .q80)
      add("model.layers.\(layer).mlp.experts.1.up_proj.weight", .q40)
    }
    // A number that is no layer of any model.
    add("model.layers.\(Int.max).x", .f32)
    return try Inventory(shards: [], tensors: tensors)
  }
}
