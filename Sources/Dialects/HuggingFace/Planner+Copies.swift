internal import Formats
internal import Models
internal import Tensors
internal import Weights

extension Planner {
  /// The weight, or in its place what it is a copy of, where the source's file may have rounded the two
  /// otherwise: GGUF files give each a type of its own. Where copies differ from what they repeat,
  /// loaders that share one table have other drafts than those that do not.
  mutating func shared(_ weight: SourceWeight) -> SourceWeight {
    guard source.format == .gguf,
      let part = implied[weight.name].flatMap({ source.config.original(of: $0.part) }),
      let name = implied.values.first(where: { $0.part == part })?.name,
      let original = source.weights[name], original.shape == weight.shape,
      weight.isCode || original.isCode
    else { return weight }
    if weight.type != original.type {
      copyNotes.append(
        "\(weight.name) is written from \(name), which it repeats: the file has rounded the two "
          + "otherwise, to \(weight.type.rawValue) and \(original.type.rawValue)")
    }
    return SourceWeight(weight.name, weight.shape, original.assembly)
  }
}
