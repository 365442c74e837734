package import Tensors

extension MetadataValue {
  /// The value for people; of a list its first elements, so many at the most.
  package func shown(elements most: Int) -> String {
    switch self {
    case .string(let text): return text
    case .bool(let flag): return flag ? "true" : "false"
    case .float32(let number): return "\(number)"
    case .float64(let number): return "\(number)"
    case .uint64(let number): return "\(number)"
    case .array(let array):
      let first = array.prefix(most).map { $0.shown(elements: most) }.joined(separator: ", ")
      return "[\(first)\(array.count > most ? ", …" : "")]"
    default: return "\(integer ?? 0)"
    }
  }
}
