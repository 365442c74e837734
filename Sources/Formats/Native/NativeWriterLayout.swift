package import Platform
internal import Tensors

/// Where every tensor of DeepSeek's model-parallel shards goes, to the byte.
///
/// Within a file they stand as safetensors' own library orders them, whose default its `convert.py`
/// takes: the widest and latest types first, then by name; by themselves without metadata. (safetensors 0.8, the order
/// of `Dtype`.)
package struct NativeWriterLayout: Sendable {
  /// Where everything goes.
  package let output: OutputLayout

  /// Types in the library's order, those that stand last in a file first.
  private static let order: [ElementType] = [
    .bool, .f4, .f6E2M3, .f6E3M2, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ, .f8E5M2FNUZ,
    .i16, .u16, .f16, .bf16, .i32, .u32, .f32, .c64, .f64, .i64, .u64,
  ]

  /// Places the tensors.
  ///
  /// - Parameters:
  ///   - files: names of files, each with its tensors; the output's entries are those of all files
  ///     in this order.
  ///   - metadata: the member `__metadata__` of every header, which DeepSeek's own have not.
  ///   - notes: what each file says of its own tensors there.
  /// - Throws: `.malformed` where all sizes together overflow, or a header becomes longer than
  ///   readers take.
  package init(
    _ files: [(name: ExactText, entries: [OutputLayout.Entry])],
    metadata: [(key: String, value: String)] = [], notes: TensorNotes? = nil
  ) throws(Fault) {
    let entries = files.flatMap(\.entries)
    let (total, overflow) = OutputLayout.totalSize(of: entries)
    if let overflow {
      throw Fault(.malformed, "makes the output too large", tensor: overflow.name)
    }
    let ranks = Dictionary(uniqueKeysWithValues: Self.order.enumerated().map { ($1, $0) })
    var first = 0
    var placed: [OutputLayout.File] = []
    for (name, own) in files {
      let order = (first..<first + own.count).sorted { one, other in
        let (left, right) = (entries[one], entries[other])
        guard left.storedType == right.storedType else {
          return ranks[left.storedType] ?? -1 > ranks[right.storedType] ?? -1
        }
        return left.name < right.name
      }
      let file = OutputLayout.File.safetensors(
        named: name, entries, order: order, metadata: metadata, notes: notes)
      guard file.header.count - 8 <= SafetensorsHeader.lengthLimit else {
        throw Fault(
          .malformed, "gets a header that is too long", file: name.text,
          expected: "at most \(SafetensorsHeader.lengthLimit) bytes",
          found: "\(file.header.count - 8)")
      }
      placed.append(file)
      first += own.count
    }
    output = OutputLayout(entries: entries, files: placed, totalSize: total)
  }
}
