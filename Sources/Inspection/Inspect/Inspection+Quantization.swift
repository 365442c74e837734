internal import Codecs
internal import Dialects
internal import Formats
internal import Models
internal import Reports
internal import Tensors

extension Inspection {
  /// How weights are stored that are not plain, for people.
  var quantization: String {
    if let mix { return mix }
    if let foreignStorage { return "\(foreignStorage); not decoded" }
    let maker = config?.otherMaker.flatMap(\.title)
    let isInFP4 = config?.v4?.hasFP4Experts == true
    if !schemes.isEmpty, !isInFP4 {
      // ModelOpt's has a name of its own.
      let isNamed = maker == nil || schemes.keys.contains(GroupScheme.modelOptNVFP4.description)
      return (isNamed ? "" : "\(maker ?? ""), ")
        + schemes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
          "\($0.key) (\(Quantity.plural($0.value, "weight")))"
        }.joined(separator: ", ")
    }
    if let stored = config?.compressed?.groups.compactMap(\.scheme), !stored.isEmpty {
      return Set(stored.map(\.description)).sorted().joined(separator: ", ")
    }
    guard let fp8 = config?.fp8 else { return "none" }
    let experts = isInFP4 ? "; routed experts in FP4, a scale for 32 columns" : ""
    let types = scaleTypes.map(\.rawValue).sorted().joined(separator: " and ")
    return "FP8 E4M3 "
      + (fp8.blocks.map { "in blocks of \($0.rows) × \($0.columns)" }
        ?? "with a scale per matrix or row") + ", "
      + (fp8.powerOfTwoScales ? "power-of-two" : types.isEmpty ? "no" : types) + " scales "
      + "(\(Quantity.count(scales)) of them)\(experts)"
  }

  /// The mix of a GGUF file with quantized tensors, and the bits that a weight takes in all.
  private var mix: String? {
    let blocks = types.filter(\.key.isBlock)
    guard format == ModelFormat.gguf.rawValue, let most = Inspection.sorted(blocks).first else {
      return nil
    }
    // A file whose types were chosen one by one has the number of another mix, or none.
    let name =
      fileType.flatMap { blocks[$0.type] == nil ? nil : $0.name } ?? "mostly \(most.type.rawValue)"
    return "\(name), \(Quantity.bits(total.bytes, per: total.elements)) bits per weight"
  }
}

extension GGUFFileType {
  /// The file type that a file's metadata states; nil for none, and for one that is not known.
  init?(metadata: Metadata) {
    guard let id = metadata["general.file_type"]?.integer,
      let type = GGUFFileType.allCases.first(where: { Int($0.id) == id })
    else { return nil }
    self = type
  }
}
